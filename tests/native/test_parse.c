/* SPDX-License-Identifier: Apache-2.0 */
/* The frame decoder on frames that it must not trust: the sanitizers check each read. Its answers are checked against a Python twin in
 * tests/capture/test_ring_frames.py. */
#include "columns/parse.h"
#include "ring/layout.h"

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

static const uint16_t LINKS[] = {0, NT_RECORD_LINUX_SLL, NT_RECORD_LINUX_SLL2, NT_RECORD_RAW_IP};
#define LINK_COUNT (sizeof(LINKS) / sizeof(LINKS[0]))

/* A heap block of exactly the captured bytes: AddressSanitizer sees a read beyond them. */
static void parse_copy(const uint8_t *frame, uint32_t captured, uint32_t wire, uint16_t record_flags)
{
	uint8_t *copy = malloc(captured ? captured : 1);
	struct nt_frame out;

	assert_non_null(copy);
	memcpy(copy, frame, captured);
	nt_frame_parse(&out, copy, captured, wire, record_flags);
	assert_int_equal((uint64_t)out.header_bytes + out.payload_bytes + out.trailer_bytes, captured);
	assert_true(out.payload_bytes <= out.payload_length);
	free(copy);
}

static void a_frame_cut_anywhere_still_adds_up(void **state)
{
	(void)state;
	for (uint32_t at = 0; at < LINK_COUNT * (sizeof(MULTICAST_FRAME) + 1); at++) {
		uint32_t captured = (uint32_t)(at / LINK_COUNT);
		uint16_t link = LINKS[at % LINK_COUNT];

		parse_copy(MULTICAST_FRAME, captured, sizeof(MULTICAST_FRAME), link);
		parse_copy(MULTICAST_FRAME, captured, captured, link);
		parse_copy(MULTICAST_FRAME, captured, 0, link);
		parse_copy(MULTICAST_FRAME, captured, UINT32_MAX, link);
	}
}

static void a_frame_with_a_switch_s_stamp_cut_anywhere_still_adds_up(void **state)
{
	(void)state;
	for (uint32_t form = 0; form < 4; form++) { /* 1 and 2 are whole stamps, of 12 and of 10 bytes */
		uint32_t stamp = form == 2 ? 10 : 12, bytes = (uint32_t)sizeof(MULTICAST_FRAME) + stamp + 2;
		uint8_t frame[sizeof(MULTICAST_FRAME) + 14] = {0};
		struct nt_frame out;

		memcpy(frame, MULTICAST_FRAME, 12);
		memcpy(frame + 12, (uint8_t[]){0xD2, 0x8B, 0, 1, 0, (uint8_t)(form << 4)}, 6);
		memcpy(frame + 14 + stamp, MULTICAST_FRAME + 12, sizeof(MULTICAST_FRAME) - 12);
		for (uint32_t captured = 0; captured <= bytes; captured++)
			parse_copy(frame, captured, bytes, 0);
		nt_frame_parse(&out, frame, bytes, bytes, 0);
		assert_int_equal(out.flags, form == 1 || form == 2 ? 0 : NT_RECORD_UNPARSED);
		assert_int_equal(out.header_bytes, form == 1 ? 56 : form == 2 ? 54 : 14);
	}
}

static void raw_ip_has_no_header_of_a_link(void **state)
{
	struct nt_frame out;

	(void)state;
	nt_frame_parse(&out, MULTICAST_FRAME + 14, sizeof(MULTICAST_FRAME) - 14, sizeof(MULTICAST_FRAME) - 14, NT_RECORD_RAW_IP);
	assert_int_equal(out.header_bytes, 28);
	assert_int_equal(out.payload_bytes, 4);
	assert_int_equal(out.trailer_bytes, 7);
	assert_int_equal(out.dst_port, 15000);
	assert_int_equal(out.flags, 0);
	nt_frame_parse(&out, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), sizeof(MULTICAST_FRAME), NT_RECORD_RAW_IP);
	assert_int_equal(out.flags, NT_RECORD_UNPARSED);
	assert_int_equal(out.header_bytes, 0);
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

/* The type stands first, what follows it 20 bytes on. */
static void as_cooked2(uint8_t *frame)
{
	uint8_t type[] = {frame[12], frame[13]};

	memmove(frame + 6, frame, 256);
	memcpy(frame, type, sizeof(type));
}

static void random_frames_are_never_read_beyond_their_capture(void **state)
{
	uint64_t seed = 42;
	uint8_t frame[256 + 12];

	(void)state;
	for (uint32_t round = 0; round < 400000; round++) {
		uint16_t link = LINKS[round / 8 % LINK_COUNT];
		uint32_t begin = link == NT_RECORD_RAW_IP ? 14 : 0;

		for (uint32_t i = 0; i < sizeof(frame); i++)
			frame[i] = (uint8_t)random_u32(&seed);
		if (round % 8) {
			shape(frame, &seed);
			if (link == NT_RECORD_LINUX_SLL)
				memmove(frame + 2, frame, 256);
			else if (link == NT_RECORD_LINUX_SLL2)
				as_cooked2(frame);
		}
		parse_copy(frame + begin, random_u32(&seed) % 240, random_u32(&seed) % 512, link);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_cut_anywhere_still_adds_up),
		cmocka_unit_test(a_frame_with_a_switch_s_stamp_cut_anywhere_still_adds_up),
		cmocka_unit_test(raw_ip_has_no_header_of_a_link),
		cmocka_unit_test(random_frames_are_never_read_beyond_their_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
