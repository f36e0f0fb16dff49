/* SPDX-License-Identifier: Apache-2.0 */
#include "switch_tick.h"

#include <stddef.h>
#include <string.h>

enum { EXALINK_TYPE = 0x88B5, KEYFRAME_PROTOCOL = 253, TICK_BYTES = 4, FCS_BYTES = 4 };
enum { EXALINK_BYTES = 40, ARISTA_SHORT_BYTES = 46, ARISTA_LONG_BYTES = 62, ARISTA_DEVICE_FROM_END = 6 };

#define ARISTA_HZ 350000000u
#define FREQUENCY_LEAST_HZ 1000000u
#define FREQUENCY_MOST_HZ 10000000000u
#define UTC_MOST_NS (1ull << 62) /* so that nothing added to it overflows */

static struct nt_switch_span keyframe_content(const struct nt_switch_frame *frame)
{
	struct nt_switch_span content = frame->network;

	if (frame->network_size && frame->protocol == KEYFRAME_PROTOCOL && frame->network_size <= content.bytes) {
		content.data += frame->network_header;
		content.bytes = frame->network_size - frame->network_header;
		return content;
	}
	if (frame->type != EXALINK_TYPE)
		content.bytes = 0;
	return content;
}

/* "EXKF" 4, version 1, reserved 3, utc ns 8, counter 8, frequency 8, last sync 8; of older ones, by IP, "1 0 0 0" and version 0. */
static bool read_exalink(struct nt_switch_keyframe *keyframe, const struct nt_switch_frame *frame)
{
	struct nt_switch_span content = keyframe_content(frame);
	bool is_old;

	if (content.bytes < EXALINK_BYTES)
		return false;
	is_old = content.bytes == EXALINK_BYTES && frame->protocol == KEYFRAME_PROTOCOL && !memcmp(content.data, "\1\0\0\0\0", 5);
	if (!is_old && memcmp(content.data, "EXKF\1", 5) != 0)
		return false;
	keyframe->device = frame->source_mac;
	keyframe->utc_ns = nt_switch_number(content.data + 8, 8);
	keyframe->counter = nt_switch_number(content.data + 16, 8);
	keyframe->frequency_hz = nt_switch_number(content.data + 24, 8);
	return true;
}

/* Counter 8, utc ns 8, last sync 8, [skew 8 / 8], stamp 8, drops 8, device 2, interface 2, FCS type 1, reserved 1. */
static bool read_arista(struct nt_switch_keyframe *keyframe, const struct nt_switch_frame *frame)
{
	struct nt_switch_span content = keyframe_content(frame);

	if (frame->protocol != KEYFRAME_PROTOCOL || (content.bytes != ARISTA_SHORT_BYTES && content.bytes != ARISTA_LONG_BYTES))
		return false;
	keyframe->device = nt_switch_number(content.data + content.bytes - ARISTA_DEVICE_FROM_END, 2);
	keyframe->utc_ns = nt_switch_number(content.data + 8, 8);
	keyframe->counter = nt_switch_number(content.data, 8);
	keyframe->frequency_hz = ARISTA_HZ;
	return true;
}

/* The device's own place, else a free one, else that of the one not heard of for longest. */
static struct nt_switch_keyframe *place_of(struct nt_switch *state, uint32_t form, uint64_t device)
{
	struct nt_switch_keyframe *place = &state->keyframes[0];

	for (uint32_t i = 0; i < NT_SWITCH_DEVICES; i++) {
		struct nt_switch_keyframe *each = &state->keyframes[i];

		if (each->frequency_hz && each->form == form && each->device == device)
			return each;
		if (place->frequency_hz && (!each->frequency_hz || each->captured_ns < place->captured_ns))
			place = each;
	}
	return place;
}

bool nt_switch_take_keyframe(struct nt_switch *state, uint32_t form, const struct nt_switch_frame *frame)
{
	struct nt_switch_keyframe keyframe = {.captured_ns = frame->row->ts, .form = form};
	bool is_one = form == NT_SWITCH_EXALINK ? read_exalink(&keyframe, frame) : read_arista(&keyframe, frame);

	if (!is_one)
		return false;
	if (keyframe.utc_ns < UTC_MOST_NS && keyframe.frequency_hz >= FREQUENCY_LEAST_HZ &&
	    keyframe.frequency_hz <= FREQUENCY_MOST_HZ) {
		*place_of(state, form, keyframe.device) = keyframe;
		state->counts.keyframes++;
	}
	return true;
}

/* The first frames tell whether the FCS is delivered: its CRC can be right by itself once in 2^32. */
static uint32_t fcs_bytes(struct nt_switch *state, const struct nt_switch_frame *frame)
{
	bool has_fcs = state->fcs_found * 2 > state->fcs_votes;

	if (state->fcs_votes < NT_SWITCH_FCS_VOTES) {
		has_fcs = nt_switch_has_fcs(frame->row);
		state->fcs_votes++;
		state->fcs_found += has_fcs;
	}
	return has_fcs ? FCS_BYTES : 0;
}

static uint64_t distance(int64_t a, int64_t b)
{
	return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

static uint64_t ticks_ns(uint64_t ticks, uint64_t frequency_hz)
{
	return ticks * NT_SWITCH_NS_PER_S / frequency_hz; /* 32 bits times 30 */
}

/* By one keyframe: behind it, or just before it, as of another port. False: it is too old. */
static bool time_of(const struct nt_switch_keyframe *keyframe, uint32_t tick, uint64_t wrap, int64_t near_ns, int64_t captured_ns,
		    int64_t *ns)
{
	uint64_t since = (tick - keyframe->counter) & (wrap - 1);
	int64_t before;

	if (!keyframe->frequency_hz || distance(captured_ns, keyframe->captured_ns) > ticks_ns(wrap, keyframe->frequency_hz))
		return false;
	*ns = (int64_t)(keyframe->utc_ns + ticks_ns(since, keyframe->frequency_hz));
	before = (int64_t)keyframe->utc_ns - (int64_t)ticks_ns(wrap - since, keyframe->frequency_hz);
	if (distance(before, near_ns) < distance(*ns, near_ns))
		*ns = before;
	return true;
}

static enum nt_switch_tick read_time(const struct nt_switch *state, const struct nt_switch_frame *frame, uint32_t raw,
				     struct nt_switch_stamp *stamp)
{
	bool is_arista = state->form == NT_SWITCH_ARISTA_7150;
	uint32_t tick = is_arista ? (raw & 0xFFFFFF00u) >> 1 | (raw & 0x7Fu) : raw;
	uint64_t wrap = is_arista ? 1ull << 31 : 1ull << 32;
	int64_t captured_ns = frame->row->ts, near_ns, ns;
	bool found = false;

	if (__builtin_add_overflow(captured_ns, state->tai_ns, &near_ns))
		near_ns = captured_ns;
	for (uint32_t i = 0; i < NT_SWITCH_DEVICES; i++) {
		const struct nt_switch_keyframe *keyframe = &state->keyframes[i];

		if (keyframe->form != state->form || !time_of(keyframe, tick, wrap, near_ns, captured_ns, &ns))
			continue;
		if (found && distance(ns, near_ns) >= distance(stamp->ns, near_ns))
			continue;
		found = true;
		stamp->ns = ns;
		stamp->device = is_arista ? (uint16_t)keyframe->device : 0;
	}
	stamp->has_device = stamp->valid = found;
	stamp->has_device &= is_arista;
	return found ? NT_SWITCH_TICK_READ : NT_SWITCH_TICK_WITHOUT_KEYFRAME;
}

enum nt_switch_tick nt_switch_read_tick(struct nt_switch *state, const struct nt_switch_frame *frame, struct nt_switch_stamp *stamp)
{
	uint32_t behind;

	if (frame->tail.bytes < TICK_BYTES)
		return NT_SWITCH_TICK_NONE;
	behind = fcs_bytes(state, frame);
	/* Where all but the FCS is padding, nothing was written. */
	if (frame->tail.bytes < behind + TICK_BYTES || frame->padding >= frame->tail.bytes - behind)
		return NT_SWITCH_TICK_NONE;
	memset(stamp, 0, sizeof(*stamp));
	return read_time(state, frame, (uint32_t)nt_switch_number(frame->tail.data + frame->tail.bytes - behind - TICK_BYTES, 4),
			 stamp);
}
