/* SPDX-License-Identifier: Apache-2.0 */
/* The frame decoder on frames that it must not trust: the sanitizers check each read. Its answers are checked against a Python twin in
 * tests/capture/test_ring_frames.py. */
#include "columns/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t MULTICAST_FRAME[] = {
	0x01, 0x00, 0x5e, 0x01, 0x02, 0x03, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,                     /* Ethernet */
	0x45, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x10, 0x11, 0xaf, 0xc7, 10,   0,    0, 1, 239, 1, 2, 3, /* IPv4 */
	0x30, 0x39, 0x3a, 0x98, 0x00, 0x0c, 0x00, 0x00,                                                         /* UDP */
	'a',  'b',  'c',  'd',                                                                                  /* payload */
	0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6,                                                               /* trailer */
};

/* A heap block of exactly the captured bytes: AddressSanitizer sees a read beyond them. */
static void parse_copy(const uint8_t *frame, uint32_t captured, uint32_t wire)
{
	uint8_t *copy = malloc(captured ? captured : 1);
	struct nt_frame out;

	assert_non_null(copy);
	memcpy(copy, frame, captured);
	nt_frame_parse(&out, copy, captured, wire, true);
	assert_int_equal((uint64_t)out.header_bytes + out.payload_bytes + out.trailer_bytes, captured);
	assert_true(out.payload_bytes <= out.payload_length);
	free(copy);
}

static void a_frame_cut_anywhere_still_adds_up(void **state)
{
	(void)state;
	for (uint32_t captured = 0; captured <= sizeof(MULTICAST_FRAME); captured++) {
		parse_copy(MULTICAST_FRAME, captured, sizeof(MULTICAST_FRAME));
		parse_copy(MULTICAST_FRAME, captured, captured);
		parse_copy(MULTICAST_FRAME, captured, 0);
		parse_copy(MULTICAST_FRAME, captured, UINT32_MAX);
	}
}

static uint32_t random_u32(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static void shape(uint8_t *frame, uint64_t *seed)
{
	static const uint16_t types[] = {0x0800, 0x86DD, 0x8100, 0x88A8, 0x9100, 0xD28B};
	static const uint8_t protocols[] = {17, 17, 0, 43, 44, 51, 60, 6};
	uint32_t at = 12, type;

	do { /* random tags, then a network layer whose first byte is mostly right */
		type = types[random_u32(seed) % 6];
		frame[at] = (uint8_t)(type >> 8);
		frame[at + 1] = (uint8_t)type;
		at += type >= 0x8100 && type != 0x86DD && type != 0xD28B ? 4 : 2;
	} while (at % 4 == 0 && at < 28);
	if (type == 0x0800) {
		frame[at] = (uint8_t)(0x45 + (random_u32(seed) % 4 == 0 ? random_u32(seed) % 11 : 0));
		frame[at + 2] = 0;
		frame[at + 9] = protocols[random_u32(seed) % 8];
	} else {
		frame[at] = 0x60;
		frame[at + 4] = 0;
		frame[at + 6] = protocols[random_u32(seed) % 8];
		for (uint32_t i = 0; i < 24; i += 8) {
			frame[at + 40 + i] = protocols[random_u32(seed) % 8];
			frame[at + 41 + i] = (uint8_t)(random_u32(seed) % 8 ? 0 : 3);
		}
	}
}

static void random_frames_are_never_read_beyond_their_capture(void **state)
{
	uint64_t seed = 42;
	uint8_t frame[256];

	(void)state;
	for (uint32_t round = 0; round < 200000; round++) {
		for (uint32_t i = 0; i < sizeof(frame); i++)
			frame[i] = (uint8_t)random_u32(&seed);
		if (round % 8)
			shape(frame, &seed);
		parse_copy(frame, random_u32(&seed) % sizeof(frame), random_u32(&seed) % 512);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_cut_anywhere_still_adds_up),
		cmocka_unit_test(random_frames_are_never_read_beyond_their_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
