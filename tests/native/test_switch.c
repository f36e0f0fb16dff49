/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder of switch stamps on frames that it must not trust: the sanitizers check each read. Its answers are checked against a Python
 * twin in tests/capture/test_switch_twin.py. */
#include "columns/parse.h"
#include "feeds/switch.h"
#include "feeds/switch_stamp.h"
#include "ring/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECONDS 1700000000u
#define TS (1000000000ll * SECONDS + 5)
#define FRAME_MAX 256u

static const uint8_t UDP_FRAME[] = {
	0x01, 0x00, 0x5e, 0x01, 0x02, 0x03, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,                     /* Ethernet */
	0x45, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x10, 0x11, 0xaf, 0xc7, 10,   0,    0, 1, 239, 1, 2, 3, /* IPv4 */
	0x30, 0x39, 0x3a, 0x98, 0x00, 0x0c, 0x00, 0x00, 'a',  'b',  'c',  'd',                                  /* UDP */
};

struct frame {
	uint8_t bytes[FRAME_MAX];
	uint32_t size;
};

static void append(struct frame *frame, const void *bytes, uint32_t count)
{
	memcpy(frame->bytes + frame->size, bytes, count);
	frame->size += count;
}

static void append_number(struct frame *frame, uint64_t number, uint32_t count)
{
	for (uint32_t i = count; i-- > 0;)
		frame->bytes[frame->size++] = (uint8_t)(number >> (8 * i));
}

/* Padded to 60 bytes: what was left of it is zeros. */
static struct frame plain(void)
{
	struct frame frame = {.size = 0};

	append(&frame, UDP_FRAME, sizeof(UDP_FRAME));
	frame.size = 60;
	return frame;
}

static struct frame with_7130(void)
{
	struct frame frame = plain();

	append(&frame, "ofcs", 4);
	append_number(&frame, 0x00123401, 4); /* sub-ns, not the last */
	append_number(&frame, 0x00567820 | 0x20, 4);
	append_number(&frame, SECONDS, 4);
	append_number(&frame, 5, 4);
	append_number(&frame, 0x03, 1);
	append_number(&frame, 77, 2);
	append_number(&frame, 9, 1);
	return frame;
}

static struct frame with_ixia(void)
{
	struct frame frame = plain();

	append_number(&frame, 0x0608, 2);
	append_number(&frame, SECONDS, 4);
	append_number(&frame, 5, 4);
	append_number(&frame, 0x0AAF120000, 5);
	return frame;
}

static struct frame with_hpt(void)
{
	struct frame frame = plain();

	append(&frame, "ofcs", 4);
	append_number(&frame, 0x0102, 2);
	append_number(&frame, SECONDS, 4);
	append_number(&frame, 0x157a, 5);
	append_number(&frame, 0, 1);
	return frame;
}

static struct frame with_header(uint16_t version)
{
	struct frame frame = {.size = 0};

	append(&frame, UDP_FRAME, 12);
	append_number(&frame, 0xD28B0001, 4);
	append_number(&frame, version, 2);
	append_number(&frame, SECONDS, version & 0x20 ? 2 : 4);
	append_number(&frame, 5, 4);
	append(&frame, UDP_FRAME + 12, sizeof(UDP_FRAME) - 12);
	return frame;
}

static struct frame exalink_keyframe(void)
{
	struct frame frame = {.size = 0};

	append(&frame, UDP_FRAME, 12);
	append_number(&frame, 0x88B5, 2);
	append(&frame, "EXKF\1\0\0", 8);
	append_number(&frame, TS, 8);
	append_number(&frame, 1000, 8);
	append_number(&frame, 350000000, 8);
	append_number(&frame, 1000, 8);
	return frame;
}

static struct frame arista_keyframe(uint32_t bytes)
{
	struct frame frame = {.size = 0};

	append(&frame, UDP_FRAME, 34);
	frame.bytes[17] = (uint8_t)(20 + bytes);
	frame.bytes[23] = 253;
	append_number(&frame, 1000, 8);
	append_number(&frame, TS, 8);
	frame.size += bytes - 16;
	return frame;
}

/* One column whose bytes end where the heap block ends. */
static uint8_t *column(struct nt_switch_bytes *column, int32_t offsets[2], const uint8_t *bytes, uint32_t count)
{
	uint8_t *copy = malloc(count ? count : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, count);
	offsets[0] = 0;
	offsets[1] = (int32_t)count;
	*column = (struct nt_switch_bytes){offsets, copy};
	return copy;
}

struct told {
	int64_t ts;
	uint16_t device, port, flags;
	bool stamped;
};

/* By the ring's own decoder into columns, and these through the decoder of stamps. */
static struct told take(struct nt_switch *state, const struct frame *frame, uint32_t captured, uint32_t wire, uint16_t flags)
{
	int32_t offsets[3][2];
	uint8_t *copies[3], source = 0, valid = 0, device_valid, port_valid;
	int64_t ts = TS;
	struct told told;
	struct nt_frame parsed;
	struct nt_switch_batch batch = {.rows = 1, .states = 1, .by_source = &state, .ts = &ts, .source = &source, .flags = &flags};
	const uint8_t *payload;

	nt_frame_parse(&parsed, frame->bytes, captured, wire, flags);
	payload = frame->bytes + parsed.header_bytes;
	copies[0] = column(&batch.header, offsets[0], frame->bytes, parsed.header_bytes);
	copies[1] = column(&batch.payload, offsets[1], payload, parsed.payload_bytes);
	copies[2] = column(&batch.trailer, offsets[2], payload + parsed.payload_bytes, parsed.trailer_bytes);
	batch.wire_len = &wire;
	batch.ts_switch = &told.ts;
	batch.device = &told.device;
	batch.port = &told.port;
	batch.flags_out = &told.flags;
	batch.ts_valid = &valid;
	batch.device_valid = &device_valid;
	batch.port_valid = &port_valid;
	nt_switch_fill(&batch);
	for (uint32_t i = 0; i < 3; i++)
		free(copies[i]);
	told.stamped = valid & 1;
	assert_int_equal(batch.ts_nulls, !told.stamped);
	return told;
}

static struct told take_whole(struct nt_switch *state, const struct frame *frame)
{
	return take(state, frame, frame->size, frame->size, 0);
}

static struct nt_switch state_of(uint32_t form)
{
	struct nt_switch state;

	nt_switch_init(&state, form, 0, 1000000000);
	return state;
}

static void each_form_s_own_frame_is_stamped(void **unused)
{
	struct frame frames[] = {with_7130(), with_7130(), with_hpt(), with_header(0x0110), with_ixia()};
	const uint32_t forms[] = {NT_SWITCH_ARISTA_7130, NT_SWITCH_CPACKET, NT_SWITCH_EXABLAZE_HPT, NT_SWITCH_ARISTA_7280,
				  NT_SWITCH_IXIA};

	(void)unused;
	for (uint32_t i = 0; i < 5; i++) {
		struct nt_switch state = state_of(forms[i]);
		struct told told = take_whole(&state, &frames[i]);

		assert_true(told.stamped);
		assert_int_equal(told.ts, TS);
		assert_int_equal(told.device, i < 2 ? 77 : i == 2 ? 1 : 0);
	}
}

static void a_tick_is_counted_on_from_the_keyframe(void **unused)
{
	struct frame keyframes[] = {exalink_keyframe(), arista_keyframe(46), arista_keyframe(62)};

	(void)unused;
	for (uint32_t i = 0; i < 3; i++) {
		struct nt_switch state = state_of(i ? NT_SWITCH_ARISTA_7150 : NT_SWITCH_EXALINK);
		struct frame frame = plain();
		struct told told;

		append_number(&frame, i ? (1350 & ~0x7F) << 1 | (1350 & 0x7F) : 1350, 4);
		assert_false(take_whole(&state, &frame).stamped);
		assert_int_equal(state.counts.without_keyframe, 1);
		take_whole(&state, &keyframes[i]);
		told = take_whole(&state, &frame);
		assert_true(told.stamped);
		assert_int_equal(told.ts, TS + 1000);
	}
}

static void the_latest_devices_have_a_place(void **unused)
{
	struct nt_switch state = state_of(NT_SWITCH_ARISTA_7150);
	struct frame frame = arista_keyframe(46);

	(void)unused;
	for (uint32_t device = 0; device < 3 * NT_SWITCH_DEVICES; device++) {
		frame.bytes[frame.size - 5] = (uint8_t)device;
		take_whole(&state, &frame);
	}
	assert_int_equal(state.counts.keyframes, 3 * NT_SWITCH_DEVICES);
	for (uint32_t i = 0; i < NT_SWITCH_DEVICES; i++)
		assert_int_equal(state.keyframes[i].form, NT_SWITCH_ARISTA_7150);
}

static void frame_of(struct frame *frame, uint32_t number)
{
	const uint16_t versions[] = {0x0010, 0x0110, 0x0020, 0x0121};

	switch (number % 10) {
	case 0:
		*frame = with_7130();
		break;
	case 1:
		*frame = with_hpt();
		break;
	case 2:
		*frame = with_ixia();
		break;
	case 3:
		*frame = exalink_keyframe();
		break;
	case 4:
		*frame = arista_keyframe(number / 10 % 2 ? 46 : 62);
		break;
	case 5:
		*frame = plain();
		append_number(frame, number, 4);
		break;
	default:
		*frame = with_header(versions[number % 10 - 6]);
	}
}

static void a_frame_cut_anywhere_is_never_read_beyond_its_end(void **unused)
{
	(void)unused;
	for (uint32_t form = 0; form < NT_SWITCH_FORMS; form++) {
		struct nt_switch state = state_of(form);

		for (uint32_t number = 0; number < 20; number++) {
			struct frame frame;

			frame_of(&frame, number);
			for (uint32_t captured = 0; captured <= frame.size; captured++) {
				take(&state, &frame, captured, frame.size, 0);
				take(&state, &frame, captured, captured, 0);
				take(&state, &frame, captured, UINT32_MAX, 0);
			}
		}
	}
}

static uint32_t random_u32(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

static void random_flips_are_never_read_beyond_the_frame(void **unused)
{
	static const uint16_t flags[] = {
		0, 0, 0, 0, NT_RECORD_LINUX_SLL, NT_RECORD_LINUX_SLL2, NT_RECORD_RAW_IP, NT_RECORD_REBUILT_HEADER};
	struct nt_switch states[NT_SWITCH_FORMS];
	uint64_t seed = 42;

	(void)unused;
	for (uint32_t form = 0; form < NT_SWITCH_FORMS; form++)
		nt_switch_init(&states[form], form, random_u32(&seed) % 2 ? NT_SWITCH_TAI_NS : 0, 1000000000);
	for (uint32_t round = 0; round < 400000; round++) {
		struct frame frame;
		uint32_t captured;

		frame_of(&frame, random_u32(&seed));
		for (uint32_t flips = random_u32(&seed) % 5; flips > 0; flips--)
			frame.bytes[random_u32(&seed) % frame.size] = (uint8_t)random_u32(&seed);
		captured = random_u32(&seed) % 4 ? frame.size : random_u32(&seed) % (frame.size + 1);
		take(&states[round % NT_SWITCH_FORMS], &frame, captured, captured, flags[random_u32(&seed) % 8]);
	}
}

/* As columns that no ring's decoder makes: cut into three anywhere. */
static void columns_that_do_not_fit_a_frame_are_survived(void **unused)
{
	uint64_t seed = 7;

	(void)unused;
	for (uint32_t round = 0; round < 100000; round++) {
		struct frame frame;
		struct nt_switch_row row = {.ts = TS};
		struct nt_switch_frame found;
		uint32_t cuts[2];
		uint8_t *copy;

		frame_of(&frame, random_u32(&seed));
		cuts[0] = random_u32(&seed) % (frame.size + 1);
		cuts[1] = cuts[0] + random_u32(&seed) % (frame.size - cuts[0] + 1);
		copy = malloc(frame.size);
		assert_non_null(copy);
		memcpy(copy, frame.bytes, frame.size);
		row.header = (struct nt_switch_span){copy, cuts[0]};
		row.payload = (struct nt_switch_span){copy + cuts[0], cuts[1] - cuts[0]};
		row.trailer = (struct nt_switch_span){copy + cuts[1], frame.size - cuts[1]};
		row.wire_len = frame.size;
		nt_switch_locate(&found, &row);
		assert_true(found.tail.bytes <= frame.size && found.padding <= found.tail.bytes);
		assert_true(!found.tail.bytes || found.tail.data + found.tail.bytes <= copy + frame.size);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_s_own_frame_is_stamped),
		cmocka_unit_test(a_tick_is_counted_on_from_the_keyframe),
		cmocka_unit_test(the_latest_devices_have_a_place),
		cmocka_unit_test(a_frame_cut_anywhere_is_never_read_beyond_its_end),
		cmocka_unit_test(random_flips_are_never_read_beyond_the_frame),
		cmocka_unit_test(columns_that_do_not_fit_a_frame_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
