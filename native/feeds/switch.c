/* SPDX-License-Identifier: Apache-2.0 */
#include "switch.h"

#include "../ring/layout.h"
#include "switch_tick.h"

#include <stddef.h>
#include <string.h>

#define TAI_SLACK_NS 1000000000ull
#define FCS_BYTES 4u
#define KEYFRAME_HITS (NT_SWITCH_HITS / 2) /* two of them settle the form */

enum outcome { ABSENT, STAMPED, IMPLAUSIBLE, WITHOUT_KEYFRAME };

/* What looks like several forms is taken to be the first: a cPacket trailer looks like an Arista 7130's without extensions. */
static const uint32_t DETECTED[] = {NT_SWITCH_ARISTA_7280, NT_SWITCH_ARISTA_7130, NT_SWITCH_EXABLAZE_HPT, NT_SWITCH_IXIA,
				    NT_SWITCH_CPACKET};
static const uint32_t TICKS[] = {NT_SWITCH_EXALINK, NT_SWITCH_ARISTA_7150};

void nt_switch_init(struct nt_switch *state, uint32_t form, int64_t tai_ns, int64_t plausible_ns)
{
	memset(state, 0, sizeof(*state));
	state->form = form;
	state->tai_ns = tai_ns;
	state->plausible_ns = plausible_ns;
	state->counts.offset_ns = INT64_MAX;
}

/* Of the stamp, which becomes UTC, to the capture's; INT64_MAX: it is no time. */
static int64_t offset_of(const struct nt_switch *state, struct nt_switch_stamp *stamp, int64_t ts)
{
	int64_t offset;

	if (!stamp->valid)
		return INT64_MAX;
	if (!stamp->is_utc && __builtin_sub_overflow(stamp->ns, state->tai_ns, &stamp->ns))
		return INT64_MAX;
	return __builtin_sub_overflow(stamp->ns, ts, &offset) ? INT64_MAX : offset;
}

static bool is_within(int64_t offset, int64_t centre, uint64_t slack)
{
	int64_t distance;

	if (offset == INT64_MAX || __builtin_sub_overflow(offset, centre, &distance))
		return false;
	return (distance < 0 ? -(uint64_t)distance : (uint64_t)distance) <= slack;
}

static bool is_plausible(const struct nt_switch *state, int64_t offset)
{
	return is_within(offset, 0, (uint64_t)state->plausible_ns);
}

static bool is_tai_like(const struct nt_switch *state, int64_t offset)
{
	return !is_plausible(state, offset) &&
	       (is_within(offset, NT_SWITCH_TAI_NS, TAI_SLACK_NS) || is_within(offset, -NT_SWITCH_TAI_NS, TAI_SLACK_NS));
}

static bool read_trailer(struct nt_switch_stamp *stamp, uint32_t form, struct nt_switch_span span)
{
	switch (form) {
	case NT_SWITCH_ARISTA_7130:
		return nt_switch_read_7130(stamp, span);
	case NT_SWITCH_CPACKET:
		return nt_switch_read_cpacket(stamp, span);
	case NT_SWITCH_EXABLAZE_HPT:
		return nt_switch_read_hpt(stamp, span);
	default:
		return nt_switch_read_ixia(stamp, span);
	}
}

/* With an FCS behind it or without: only one of the two places holds a time near the capture's. */
static enum outcome decode_trailer(const struct nt_switch *state, uint32_t form, const struct nt_switch_frame *frame,
				   struct nt_switch_stamp *stamp, int64_t *offset)
{
	bool found = false, tai_like = false;

	for (uint32_t behind = 0; behind <= FCS_BYTES && behind <= frame->tail.bytes; behind += FCS_BYTES) {
		struct nt_switch_span span = {frame->tail.data, frame->tail.bytes - behind};
		int64_t each;

		if (!read_trailer(stamp, form, span))
			continue;
		each = offset_of(state, stamp, frame->row->ts);
		if (is_plausible(state, each))
			return STAMPED;
		found = true;
		if (!tai_like)
			*offset = each;
		tai_like |= is_tai_like(state, each);
	}
	/* Behind a frame of unknown length, or in its padding, there need not be a trailer at all. */
	found &= frame->tail_known && frame->tail.bytes - frame->padding >= nt_switch_trailer_bytes(form);
	return found || tai_like ? IMPLAUSIBLE : ABSENT;
}

static enum outcome decode_7280(const struct nt_switch *state, const struct nt_switch_frame *frame, struct nt_switch_stamp *stamp,
				int64_t *offset)
{
	int64_t near_ns;

	if (!frame->stamp.data)
		return ABSENT;
	if (frame->stamp.bytes > 2 && frame->stamp.data[2] == 1) /* UTC, by its label */
		near_ns = frame->row->ts;
	else if (__builtin_add_overflow(frame->row->ts, state->tai_ns, &near_ns))
		near_ns = frame->row->ts;
	if (!nt_switch_read_7280(stamp, frame->stamp, near_ns))
		return ABSENT;
	*offset = offset_of(state, stamp, frame->row->ts);
	return is_plausible(state, *offset) ? STAMPED : IMPLAUSIBLE;
}

static enum outcome decode_tick(struct nt_switch *state, const struct nt_switch_frame *frame, struct nt_switch_stamp *stamp,
				int64_t *offset)
{
	enum nt_switch_tick tick;

	if (nt_switch_take_keyframe(state, state->form, frame))
		return ABSENT;
	tick = nt_switch_read_tick(state, frame, stamp);
	if (tick == NT_SWITCH_TICK_NONE)
		return ABSENT;
	if (tick == NT_SWITCH_TICK_WITHOUT_KEYFRAME)
		return frame->tail_known ? WITHOUT_KEYFRAME : ABSENT;
	*offset = offset_of(state, stamp, frame->row->ts);
	if (is_plausible(state, *offset))
		return STAMPED;
	return frame->tail_known ? IMPLAUSIBLE : ABSENT;
}

static enum outcome decode_whole(const struct nt_switch *state, uint32_t form, const struct nt_switch_frame *frame,
				 struct nt_switch_stamp *stamp, int64_t *offset)
{
	if (form == NT_SWITCH_ARISTA_7280)
		return decode_7280(state, frame, stamp, offset);
	return decode_trailer(state, form, frame, stamp, offset);
}

static void hit(struct nt_switch *state, uint32_t form, uint32_t hits)
{
	state->hits[form] += hits;
	if (state->hits[form] >= NT_SWITCH_HITS)
		state->form = form;
}

static enum outcome detect(struct nt_switch *state, const struct nt_switch_frame *frame, struct nt_switch_stamp *stamp,
			   int64_t *offset)
{
	for (uint32_t i = 0; i < sizeof(TICKS) / sizeof(TICKS[0]); i++) {
		if (nt_switch_take_keyframe(state, TICKS[i], frame)) {
			hit(state, TICKS[i], KEYFRAME_HITS);
			return ABSENT;
		}
	}
	for (uint32_t i = 0; i < sizeof(DETECTED) / sizeof(DETECTED[0]); i++) {
		enum outcome outcome = decode_whole(state, DETECTED[i], frame, stamp, offset);

		if (outcome == STAMPED || (outcome == IMPLAUSIBLE && is_tai_like(state, *offset))) {
			hit(state, DETECTED[i], 1);
			return outcome;
		}
	}
	return ABSENT;
}

static enum outcome decode(struct nt_switch *state, const struct nt_switch_row *row, struct nt_switch_stamp *stamp, int64_t *offset)
{
	struct nt_switch_frame frame;

	if (state->form == NT_SWITCH_OFF || row->flags & NT_RECORD_REBUILT_HEADER)
		return ABSENT;
	nt_switch_locate(&frame, row);
	if (state->form == NT_SWITCH_AUTO)
		return detect(state, &frame, stamp, offset);
	if (state->form == NT_SWITCH_EXALINK || state->form == NT_SWITCH_ARISTA_7150)
		return decode_tick(state, &frame, stamp, offset);
	return decode_whole(state, state->form, &frame, stamp, offset);
}

static void count(struct nt_switch *state, enum outcome outcome, int64_t offset)
{
	struct nt_switch_counts *counts = &state->counts;

	counts->stamped += outcome == STAMPED;
	counts->without_keyframe += outcome == WITHOUT_KEYFRAME;
	if (outcome == IMPLAUSIBLE) {
		counts->implausible++;
		counts->tai_like += is_tai_like(state, offset);
		counts->offset_ns = offset;
	}
}

static struct nt_switch_span span_of(const struct nt_switch_bytes *column, uint32_t row)
{
	return (struct nt_switch_span){column->data + column->offsets[row],
				       (uint32_t)(column->offsets[row + 1] - column->offsets[row])};
}

static void put(struct nt_switch_batch *batch, uint32_t row, const struct nt_switch_stamp *stamp)
{
	uint8_t bit = (uint8_t)(1u << (row & 7));

	batch->ts_switch[row] = stamp->ns;
	batch->ts_valid[row >> 3] |= bit;
	batch->ts_nulls--;
	if (stamp->has_device) {
		batch->device[row] = stamp->device;
		batch->device_valid[row >> 3] |= bit;
		batch->device_nulls--;
	}
	if (stamp->has_port) {
		batch->port[row] = stamp->port;
		batch->port_valid[row >> 3] |= bit;
		batch->port_nulls--;
	}
	batch->flags_out[row] |= stamp->flags;
}

static void fill_row(struct nt_switch_batch *batch, uint32_t row, struct nt_switch *state)
{
	struct nt_switch_row frame = {
		.header = span_of(&batch->header, row),
		.payload = span_of(&batch->payload, row),
		.trailer = span_of(&batch->trailer, row),
		.ts = batch->ts[row],
		.wire_len = batch->wire_len[row],
		.flags = batch->flags[row],
	};
	struct nt_switch_stamp stamp;
	int64_t offset = INT64_MAX;
	enum outcome outcome = decode(state, &frame, &stamp, &offset);

	count(state, outcome, offset);
	if (outcome == STAMPED)
		put(batch, row, &stamp);
	else if (outcome == IMPLAUSIBLE)
		batch->flags_out[row] |= NT_SWITCH_IMPLAUSIBLE;
}

static void begin(struct nt_switch_batch *batch)
{
	size_t rows = batch->rows, bits = (rows + 7) / 8;

	memset(batch->ts_switch, 0, rows * sizeof(*batch->ts_switch));
	memset(batch->device, 0, rows * sizeof(*batch->device));
	memset(batch->port, 0, rows * sizeof(*batch->port));
	memcpy(batch->flags_out, batch->flags, rows * sizeof(*batch->flags_out));
	memset(batch->ts_valid, 0, bits);
	memset(batch->device_valid, 0, bits);
	memset(batch->port_valid, 0, bits);
	batch->ts_nulls = batch->device_nulls = batch->port_nulls = batch->rows;
}

void nt_switch_fill(struct nt_switch_batch *batch)
{
	if (!batch->rows)
		return;
	begin(batch);
	for (uint32_t row = 0; row < batch->rows; row++) {
		struct nt_switch *state = batch->source[row] < batch->states ? batch->by_source[batch->source[row]] : NULL;

		if (state)
			fill_row(batch, row, state);
	}
}
