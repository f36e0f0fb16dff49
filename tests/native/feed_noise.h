/* SPDX-License-Identifier: Apache-2.0 */
/* Framings as any configuration may say them, and batches of packets of all kinds for them. `state` decides what is made. */
#ifndef FEED_NOISE_H
#define FEED_NOISE_H

#include "feeds/feeds.h"
#include "ring/layout.h"

#include <stdlib.h>

#define ROWS_MAX 64u
#define PAYLOAD_MAX 320u
#define FLOWS 6u

static uint64_t state;

static uint64_t chance(uint64_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 32) % below;
}

/* A place inside the header, as a configuration may say it. */
static struct nt_number place(unsigned header_bytes, unsigned width_max, bool has_mask)
{
	unsigned width = 1 + (unsigned)chance(width_max);
	struct nt_number made = {.kind = (uint8_t)(1 + chance(2))};

	if (width > header_bytes)
		width = header_bytes;
	made.width = (uint8_t)width;
	made.offset = (uint16_t)chance(header_bytes - width + 1);
	if (has_mask && !chance(3))
		made.mask = 1 + chance(0xFFFF);
	return made;
}

static struct nt_number label(unsigned header_bytes)
{
	struct nt_number made;

	if (chance(2))
		return place(header_bytes, 8, true);
	made = place(header_bytes, NT_LABEL_BYTES_MAX, false);
	made.kind = NT_LABEL_TEXT;
	return made;
}

static struct nt_framing any_framing(void)
{
	unsigned bytes = 1 + (unsigned)chance(chance(4) ? 40 : NT_HEADER_BYTES_MAX);
	struct nt_framing made = {.big_endian = chance(2), .header_bytes = (uint8_t)bytes, .heartbeat_next = chance(2)};

	made.sequence = place(bytes, 8, true);
	if (!chance(4))
		made.sequence_high = place(bytes, 4, true);
	if (chance(3)) {
		made.count = place(NT_HEADER_BYTES_MAX, 8, true);
		made.has_heartbeat_count = chance(2);
		made.has_end_count = chance(2);
		made.end_count = chance(2) ? 0xFFFF : 7;
	}
	if (chance(2))
		made.session = label(bytes);
	if (chance(2))
		made.key = label(bytes);
	made.has_unsequenced = chance(2);
	made.has_heartbeat_idle = chance(2);
	made.heartbeat_idle = chance(3);
	for (made.expect_count = (uint8_t)chance(2); made.expect[0].value_count < NT_EXPECT_VALUES;)
		made.expect[0].values[made.expect[0].value_count++] = chance(256);
	made.expect[0].number = place(bytes, 1, false);
	if (!chance(6))
		made.length = place(bytes, 8, false);
	if (!chance(4))
		made.chain = place(bytes, 2, false);
	made.length_add = made.chain_add = (int32_t)chance(100) - 50;
	if (chance(2))
		made.status = place(bytes, 1, true);
	for (unsigned i = 0; i < 256; i++)
		made.status_of[i] = (int8_t)(chance(3) ? NT_FEED_DATA : chance(NT_FEED_BAD + 1));
	made.send_form = (uint8_t)chance(NT_SEND_S_NS + 1);
	made.send = place(bytes, 8, false);
	made.send_ns = place(bytes, 4, false);
	return made;
}

struct batch {
	struct nt_feed_rows rows;
	struct nt_feed_columns columns;
	uint32_t flow_id[ROWS_MAX], payload_length[ROWS_MAX], lost_before[ROWS_MAX];
	int32_t offsets[ROWS_MAX + 1];
	uint16_t flags[ROWS_MAX];
	int64_t ts_ns[ROWS_MAX], ring_seq[ROWS_MAX];
	uint64_t flow_seq[ROWS_MAX];
	uint8_t *payload; /* ends where its heap block ends */
	int32_t session[ROWS_MAX], key[ROWS_MAX], status[ROWS_MAX];
	int64_t seq[ROWS_MAX], send_ns[ROWS_MAX];
	uint16_t count[ROWS_MAX];
	uint8_t first[ROWS_MAX], valid[5][ROWS_MAX / 8];
};

static void point(struct batch *batch)
{
	batch->rows.flow_id = batch->flow_id;
	batch->rows.payload_offsets = batch->offsets;
	batch->rows.payload = batch->payload;
	batch->rows.payload_length = batch->payload_length;
	batch->rows.flags = batch->flags;
	batch->rows.ts_ns = batch->ts_ns;
	batch->rows.ring_seq = batch->ring_seq;
	batch->rows.flow_seq = chance(8) ? batch->flow_seq : NULL;
	batch->rows.lost_before = batch->lost_before;
	batch->columns = (struct nt_feed_columns){.session = batch->session,
						  .key = batch->key,
						  .status = batch->status,
						  .seq = batch->seq,
						  .count = batch->count,
						  .send_ns = batch->send_ns,
						  .first = batch->first,
						  .session_valid = batch->valid[0],
						  .key_valid = batch->valid[1],
						  .status_valid = batch->valid[2],
						  .seq_valid = batch->valid[3],
						  .send_valid = batch->valid[4]};
}

/* Small numbers now and then, so that headers fit and sequences are near each other. */
static uint8_t any_byte(void)
{
	return (uint8_t)(chance(3) ? chance(4) : chance(256));
}

static void fill(struct batch *batch, int64_t *now_ns, int64_t *ring_seq)
{
	uint32_t rows = (uint32_t)chance(ROWS_MAX + 1), total = 0, lengths[ROWS_MAX];

	for (uint32_t i = 0; i < rows; i++)
		total += lengths[i] = (uint32_t)chance(chance(3) ? 60 : PAYLOAD_MAX);
	batch->payload = malloc(total ? total : 1);
	assert_non_null(batch->payload);
	for (uint32_t i = 0; i < total; i++)
		batch->payload[i] = any_byte();
	batch->rows.rows = rows;
	batch->offsets[0] = 0;
	for (uint32_t i = 0; i < rows; i++) {
		*now_ns += chance(100) ? (int64_t)chance(4000000) - 1000000 : (int64_t)chance(30) * 86400 * 1000000000;
		batch->offsets[i + 1] = batch->offsets[i] + (int32_t)lengths[i];
		batch->flow_id[i] = (uint32_t)chance(FLOWS + 2);
		batch->payload_length[i] = chance(5) ? lengths[i] : (uint32_t)chance(70000);
		batch->flags[i] = chance(50) ? 0 : NT_RECORD_FRAGMENT;
		batch->ts_ns[i] = *now_ns;
		batch->ring_seq[i] = ++*ring_seq;
		batch->flow_seq[i] = (uint64_t)*ring_seq - chance(3);
		batch->lost_before[i] = chance(20) ? 0 : (uint32_t)chance(UINT32_MAX);
	}
	point(batch);
}

static void add_flows(struct nt_feeds *feeds)
{
	for (uint32_t flow = 1; flow <= FLOWS; flow++) {
		struct nt_framing framing = any_framing();
		int index = nt_feeds_add_framing(feeds, &framing);

		assert_true(index >= 0);
		assert_int_equal(nt_feeds_set_flow(feeds, flow, index, (uint32_t)chance(3), 1 + flow / 2, 2), 0);
	}
}

#endif
