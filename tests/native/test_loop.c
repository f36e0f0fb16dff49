/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/state.h"
#include "ring/reader.h"
#include "scripted_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define UTC (1790000000 * SECOND) /* what the test's clock says */
#define TAI (UTC + 37 * SECOND)

static struct nt_ring ring;
static struct scripted source;
static struct nt_reader reader;

/* Stands still. TAI is ahead by 37 s, MONOTONIC counts from an arbitrary start. */
static int64_t frozen_clock(clockid_t clock)
{
	return clock == CLOCK_TAI ? TAI : clock == CLOCK_MONOTONIC ? 5 * SECOND : UTC;
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(nt_ring_make_private(&ring, 1u << 20, NULL), 0);
	scripted_init(&source, "afxdp:test0:0");
	assert_int_equal(nt_reader_init(&reader, &ring, NT_RESUME_OLDEST, NULL), 0);
	assert_int_equal(nt_reader_seek(&reader, NT_START_OLDEST, 0), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nt_reader_free(&reader);
	nt_ring_close(&ring);
	return 0;
}

static struct nt_packet *packet(uint32_t length, uint64_t flow_seq, int64_t stamp_ns)
{
	return scripted_packet(&source, length, flow_seq, stamp_ns);
}

/* Runs the script to its end on this thread, as a writer that attached with `next_seq` and `holder_id`. */
static const struct nt_loop_counters *run_as(uint64_t next_seq, uint64_t holder_id)
{
	const struct nt_loop_options options = {.core = -1, .stamp_bound_ns = 100 * SECOND}; /* test_loop_stamps.c has the bound */
	struct nt_source *sources[] = {&source.source};
	struct nt_loop_counters *counters;
	struct nt_loop *loop;
	uint32_t slot;

	source.next = 0;
	assert_int_equal(nt_loop_create(&loop, &ring, next_seq, holder_id, sources, 1, &options, NULL), 0);
	loop->clock = frozen_clock;
	slot = loop->inlets[0].slot;
	nt_loop_run(loop);
	assert_true(nt_loop_ended(loop));
	nt_loop_destroy(loop);
	counters = &ring.sources[slot].loop;
	return counters;
}

static const struct nt_loop_counters *run(void)
{
	return run_as(1, 0);
}

static const struct nt_record *next_record(void)
{
	const struct nt_record *record = nt_reader_next(&reader, NULL);

	assert_non_null(record);
	return record;
}

static void a_packet_arrives_whole_with_its_facts(void **state)
{
	const struct nt_loop_counters *counters;
	const struct nt_record *record;
	struct nt_packet *sent;

	(void)state;
	source.batches = 1;
	sent = packet(242, 7, TAI - 1500);
	sent->wire_length = 300;
	sent->flags = NT_RECORD_REBUILT_HEADER;
	counters = run();
	record = next_record();
	assert_int_equal(record->ring_seq, 1);
	assert_int_equal(record->ts_ns, UTC - 1500);
	assert_int_equal(record->rx_delay_ns, 1500);
	assert_int_equal(record->flow_seq, 7);
	assert_int_equal(record->flow_id, 1);
	assert_int_equal(record->ts_kind, NT_TS_XDP);
	assert_int_equal(record->capture_length, 242);
	assert_int_equal(record->wire_length, 300);
	assert_int_equal(record->flags, NT_RECORD_REBUILT_HEADER | NT_RECORD_TRUNCATED);
	assert_memory_equal(record + 1, source.frame, 242);
	assert_null(nt_reader_next(&reader, NULL));
	assert_int_equal(counters->packets, 1);
	assert_int_equal(counters->bytes, 242);
	assert_int_equal(counters->last_packet_ns, UTC - 1500);
	assert_int_equal(source.releases, 1);
}

static void stamps_of_every_clock_become_utc(void **state)
{
	(void)state;
	source.batches = 1;
	packet(100, 1, TAI - 10)->stamp_clock = NT_CLOCK_TAI;
	packet(100, 2, UTC - 10)->stamp_clock = NT_CLOCK_UTC;
	packet(100, 3, 5 * SECOND - 10)->stamp_clock = NT_CLOCK_MONOTONIC;
	assert_int_equal(run()->backwards, 0);
	for (int at = 0; at < 3; at++)
		assert_int_equal(next_record()->ts_ns, UTC - 10);
}

static void a_packet_without_stamp_gets_the_poll_time_and_says_so(void **state)
{
	const struct nt_loop_counters *counters;
	const struct nt_record *record;

	(void)state;
	source.batches = 1;
	packet(100, 1, 12345)->stamp_clock = NT_CLOCK_UNKNOWN;
	counters = run();
	record = next_record();
	assert_int_equal(record->ts_ns, UTC);
	assert_int_equal(record->ts_kind, NT_TS_USER);
	assert_int_equal(record->flags, NT_RECORD_UNSTAMPED);
	assert_int_equal(record->rx_delay_ns, NT_RX_DELAY_UNKNOWN);
	assert_int_equal(counters->unstamped, 1);
	for (uint32_t bucket = 0; bucket < NT_DELAY_BUCKETS; bucket++)
		assert_int_equal(counters->delay_histogram[bucket], 0);
}

static void a_delay_saturates_and_is_never_taken_for_unknown(void **state)
{
	(void)state;
	source.batches = 1;
	packet(100, 1, TAI - 10 * SECOND);
	packet(100, 2, TAI + 10 * SECOND);
	assert_int_equal(run()->delay_max_ns, 10 * SECOND);
	assert_int_equal(next_record()->rx_delay_ns, NT_RX_DELAY_MAX);
	assert_int_equal(next_record()->rx_delay_ns, NT_RX_DELAY_MIN);
}

static void a_stamp_that_goes_back_within_its_flow_is_flagged_and_counted(void **state)
{
	(void)state;
	source.batches = 1;
	packet(100, 1, TAI - 50);
	packet(100, 2, TAI - 60);
	packet(100, 3, TAI - 60);
	packet(100, 1, TAI - 90)->flow_id = 2;
	packet(100, 4, TAI - 40);
	assert_int_equal(run()->backwards, 1);
	assert_int_equal(next_record()->flags, 0);
	assert_int_equal(next_record()->flags, NT_RECORD_BACKWARDS);
	for (int at = 0; at < 3; at++)
		assert_int_equal(next_record()->flags, 0);
}

static void a_frame_too_large_for_the_ring_is_counted_and_left_out(void **state)
{
	uint32_t largest = (uint32_t)ring.max_record_bytes - NT_RECORD_HEADER_BYTES;
	const struct nt_loop_counters *counters;

	(void)state;
	source.batches = 1;
	packet(100, 1, TAI);
	packet(largest + 1, 2, TAI);
	packet(largest, 3, TAI);
	counters = run();
	assert_int_equal(counters->oversize, 1);
	assert_int_equal(counters->packets, 2);
	assert_int_equal(next_record()->flow_seq, 1);
	assert_int_equal(next_record()->flow_seq, 3);
	assert_int_equal(reader.lost, 0);
}

static void a_batch_larger_than_the_rings_is_published_in_several(void **state)
{
	uint32_t length = 1200, per_batch = (uint32_t)(ring.max_batch_bytes / nt_record_span(NT_RECORD_HEADER_BYTES + length));
	const struct nt_loop_counters *counters;

	(void)state;
	assert_in_range(per_batch, 2, NT_BATCH_PACKETS - 1);
	source.batches = 1;
	for (uint32_t at = 0; at < NT_BATCH_PACKETS; at++)
		packet(length, at + 1, TAI);
	counters = run();
	assert_int_equal(counters->packets, NT_BATCH_PACKETS);
	assert_int_equal(counters->batches, 1);
	for (uint64_t at = 1; at <= NT_BATCH_PACKETS; at++)
		assert_int_equal(next_record()->flow_seq, at);
	assert_int_equal(source.releases, 1);
}

static void histograms_count_by_powers_of_two(void **state)
{
	static const int64_t delays[] = {-5, 0, 1, 2, 3, 4, 1023, 1024, 900000 * SECOND};
	static const uint32_t buckets[] = {0, 0, 1, 2, 2, 3, 10, 11, NT_DELAY_BUCKETS - 1};
	uint64_t expected[NT_DELAY_BUCKETS] = {0};
	const struct nt_loop_counters *counters;

	(void)state;
	source.batches = 1;
	for (size_t at = 0; at < sizeof(delays) / sizeof(delays[0]); at++) {
		packet(100, at + 1, TAI - delays[at]);
		expected[buckets[at]]++;
	}
	source.batches = 2;
	packet(100, 100, TAI);
	counters = run();
	expected[0]++;
	assert_memory_equal(counters->delay_histogram, expected, sizeof(expected));
	assert_int_equal(counters->batch_histogram[3], 1);
	assert_int_equal(counters->batch_histogram[0], 1);
	assert_int_equal(counters->batches, 2);
	assert_int_equal(counters->polls_busy, 2);
}

static void a_source_that_breaks_ends_the_loop_and_is_named(void **state)
{
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;

	(void)state;
	source.batches = 1;
	packet(100, 1, TAI);
	source.at_end = -ENETDOWN;
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, sources, 1, &options, NULL), 0);
	nt_loop_run(loop);
	assert_ptr_equal(nt_loop_broken(loop), &source.source);
	assert_int_equal(nt_loop_stop(loop), -ENETDOWN);
	nt_loop_destroy(loop);
	assert_int_equal(next_record()->flow_seq, 1);
}

static void a_source_given_twice_is_refused(void **state)
{
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *sources[] = {&source.source, &source.source};
	struct nt_fault fault;
	struct nt_loop *loop;

	(void)state;
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, sources, 2, &options, &fault), -EEXIST);
	assert_non_null(strstr(fault.text, "afxdp:test0:0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_packet_arrives_whole_with_its_facts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stamps_of_every_clock_become_utc, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_packet_without_stamp_gets_the_poll_time_and_says_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_delay_saturates_and_is_never_taken_for_unknown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stamp_that_goes_back_within_its_flow_is_flagged_and_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_frame_too_large_for_the_ring_is_counted_and_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_batch_larger_than_the_rings_is_published_in_several, set_up, tear_down),
		cmocka_unit_test_setup_teardown(histograms_count_by_powers_of_two, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_source_that_breaks_ends_the_loop_and_is_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_source_given_twice_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
