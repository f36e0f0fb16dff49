/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder of switch stamps on frames that it must not trust: the sanitizers check each read. Its answers are checked against a Python
 * twin in tests/capture/test_switch_twin.py. */
#include "columns/parse.h"
#include "feeds/switch.h"
#include "feeds/switch_stamp.h"
#include "ring/layout.h"
#include "switch_frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
