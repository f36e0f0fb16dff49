/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding and following feeds with packets, tables and saved states that must not be trusted: the sanitizers check each read, the tests that
 * no row is lost and nothing is found that cannot be. Answers are checked against Python twins. NANOTAPE_FUZZ_ROUNDS: how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "feed_noise.h"

#define ROUNDS 3000u
#define START_NS (INT64_C(1792000000) * 1000000000)

static unsigned rounds(void)
{
	const char *wanted = getenv("NANOTAPE_FUZZ_ROUNDS");

	return wanted ? (unsigned)strtoul(wanted, NULL, 10) : ROUNDS;
}

static uint32_t set_bits(const uint8_t *bits, uint32_t rows)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < rows; i++)
		set += bits[i >> 3] >> (i & 7) & 1;
	return set;
}

static void check_columns(const struct batch *batch)
{
	const struct nt_feed_columns *columns = &batch->columns;
	uint32_t rows = batch->rows.rows;

	assert_int_equal(set_bits(columns->seq_valid, rows), rows - columns->seq_nulls);
	assert_int_equal(set_bits(columns->status_valid, rows), rows - columns->status_nulls);
	assert_int_equal(set_bits(columns->session_valid, rows), rows - columns->session_nulls);
	assert_int_equal(set_bits(columns->key_valid, rows), rows - columns->key_nulls);
	assert_int_equal(set_bits(columns->send_valid, rows), rows - columns->send_nulls);
	for (uint32_t i = 0; i < rows; i++) {
		bool is_framed = batch->flow_id[i] >= 1 && batch->flow_id[i] <= FLOWS;

		assert_int_equal(columns->status[i] == NT_FEED_NONE, !is_framed);
		if (batch->flags[i] && is_framed)
			assert_int_equal(columns->status[i], NT_FEED_BAD);
		assert_true(columns->seq[i] >= 0 && columns->seq[i] <= INT64_MAX - UINT16_MAX);
		assert_true(columns->first[i] <= NT_FIRST_UNKNOWN);
	}
}

static void check_findings(struct nt_feeds *feeds)
{
	for (uint32_t i = 0; i < feeds->finding_count; i++) {
		const struct nt_finding *found = &feeds->findings[i];

		assert_true(found->kind < NT_FOUND_KINDS);
		assert_true(found->stream < feeds->streams.count);
		if (found->kind == NT_FOUND_GAP)
			assert_true(found->seq_first <= found->seq_last && found->messages);
		if (found->kind == NT_FOUND_DUPLICATE || found->kind == NT_FOUND_REORDER)
			assert_true(found->seq_first <= found->seq_last && found->messages);
		assert_true(found->session_before < (int32_t)feeds->labels.count);
	}
	feeds->finding_count = 0;
}

/* What is kept beside the streams agrees with them. */
static void check_streams(const struct nt_feeds *feeds)
{
	uint32_t open = 0, live = 0, of_flows = 0;

	for (uint32_t i = 0; i < feeds->streams.count; i++) {
		const struct nt_feed_stream *stream = &feeds->streams.streams[i];

		if (stream->flow == NT_FLOW_NONE)
			continue;
		live++;
		open += stream->open.count;
		assert_true(stream->open.count < NT_HOLES_MAX && stream->told.count <= NT_TOLD_MAX);
		assert_true(stream->group < feeds->streams.group_count);
		assert_int_equal(nt_stream_find(&feeds->streams, stream->flow, stream->session, stream->key), i);
	}
	for (uint32_t flow = 0; flow < feeds->flow_count; flow++)
		of_flows += feeds->flows[flow].streams;
	assert_int_equal(open, feeds->streams.open_count);
	assert_int_equal(live, of_flows);
	assert_true(feeds->streams.group_count <= live);
}

static void run(struct nt_feeds *feeds, unsigned batches, int64_t *now_ns, int64_t *ring_seq)
{
	struct batch batch;

	for (unsigned i = 0; i < batches; i++) {
		fill(&batch, now_ns, ring_seq);
		memset(batch.valid, 0xFF, sizeof(batch.valid));
		nt_feeds_decode(feeds, &batch.rows, &batch.columns);
		assert_int_equal(nt_feeds_track(feeds, &batch.rows, &batch.columns), 0);
		free(batch.payload);
		check_columns(&batch);
		check_findings(feeds);
	}
	check_streams(feeds);
}

static void any_packets_of_any_framings_lose_no_row_and_read_nothing_beyond(void **unused)
{
	(void)unused;
	for (unsigned round = 0; round < rounds(); round++) {
		struct nt_feeds *feeds = nt_feeds_new((int64_t)chance(10000000), 1 + (int64_t)chance(100000));
		int64_t now_ns = START_NS, ring_seq = 0;

		state = round;
		assert_non_null(feeds);
		add_flows(feeds);
		run(feeds, 8, &now_ns, &ring_seq);
		assert_int_equal(nt_feeds_expire(feeds, INT64_MAX), 0);
		check_findings(feeds);
		assert_int_equal(feeds->streams.open_count, 0);
		nt_feeds_free(feeds);
	}
}

/* Changes some of it. */
static void damage(void *bytes, size_t size)
{
	for (unsigned i = 0; size && i < 3; i++)
		((uint8_t *)bytes)[chance(size)] = (uint8_t)(chance(2) ? chance(3) : chance(256));
}

static void *copy_of(const void *bytes, size_t size)
{
	void *copy = malloc(size ? size : 1);

	assert_non_null(copy);
	if (size)
		memcpy(copy, bytes, size);
	return copy;
}

/* Damage of what names or counts something: sequences are under a checksum of the file's. */
static void damage_names(struct nt_feed_stream *streams, uint32_t count)
{
	for (unsigned i = 0; count && i < 3; i++) {
		struct nt_feed_stream *stream = &streams[chance(count)];

		switch (chance(6)) {
		case 0:
			damage(&stream->flow, sizeof(stream->flow));
			break;
		case 1:
			damage(&stream->session, sizeof(stream->session));
			break;
		case 2:
			damage(&stream->key, sizeof(stream->key));
			break;
		case 3:
			damage(&stream->open, sizeof(stream->open));
			break;
		case 4:
			damage(&stream->told, sizeof(stream->told));
			break;
		default:
			damage(&stream->group, sizeof(stream->group));
		}
	}
}

/* As whoever saves them does. */
static uint32_t drop_given_up(struct nt_feed_stream *streams, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++)
		if (streams[i].flow != NT_FLOW_NONE)
			streams[kept++] = streams[i];
	return kept;
}

static void a_damaged_state_is_refused_or_harmless(void **unused)
{
	unsigned refused = 0, taken = 0;

	(void)unused;
	for (unsigned round = 0; round < rounds() / 4; round++) {
		struct nt_feeds *one = nt_feeds_new(1000000, 1000), *other = nt_feeds_new(1000000, 1000);
		int64_t now_ns = START_NS, ring_seq = 0;
		uint32_t counts[3];
		void *arrays[3];
		int error;

		state = round;
		add_flows(one);
		state = round;
		add_flows(other);
		run(one, 6, &now_ns, &ring_seq);
		counts[0] = one->labels.count;
		counts[2] = one->streams.hole_count;
		arrays[0] = copy_of(one->labels.labels, counts[0] * sizeof(struct nt_label));
		arrays[1] = copy_of(one->streams.streams, one->streams.count * sizeof(struct nt_feed_stream));
		counts[1] = drop_given_up(arrays[1], one->streams.count);
		arrays[2] = copy_of(one->streams.holes, counts[2] * sizeof(struct nt_feed_hole));
		if (chance(4))
			damage_names(arrays[1], counts[1]);
		for (uint32_t i = 0; i < counts[2] && !chance(3); i++)
			damage(&((struct nt_feed_hole *)arrays[2])[i].next, sizeof(uint32_t));
		error = nt_feeds_restore(other, arrays[0], counts[0], arrays[1], counts[1], arrays[2], counts[2]);
		assert_true(error == 0 || error == -22);
		refused += error != 0;
		taken += error == 0 && counts[1];
		if (error)
			assert_int_equal(other->streams.count, 0);
		check_streams(other);
		run(other, 4, &now_ns, &ring_seq);
		for (unsigned i = 0; i < 3; i++)
			free(arrays[i]);
		nt_feeds_free(one);
		nt_feeds_free(other);
	}
	assert_true(refused && taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_packets_of_any_framings_lose_no_row_and_read_nothing_beyond),
		cmocka_unit_test(a_damaged_state_is_refused_or_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
