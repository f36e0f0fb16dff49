/* SPDX-License-Identifier: Apache-2.0 */
/* What sources say of their packets beyond bytes and stamp: left out, of no flow, unparsed, badly stamped, unnumbered. */
#include "loop/state.h"
#include "ring/reader.h"
#include "scripted_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define UTC (1790000000 * SECOND)

static struct nt_ring ring;
static struct scripted source, second;
static struct nt_reader reader;
static uint64_t next_seq;

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(nt_ring_make_private(&ring, 1u << 20, NULL), 0);
	scripted_init(&source, "packet:test0:0");
	scripted_init(&second, "packet:test0:1");
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

/* One process, which takes both scripts to their ends. */
static const struct nt_loop_counters *run_as(uint64_t holder_id)
{
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *sources[] = {&source.source, &second.source};
	struct nt_loop *loop;

	assert_int_equal(nt_ring_restart(&ring, holder_id, &next_seq, NULL), 0);
	assert_int_equal(nt_loop_create(&loop, &ring, next_seq, holder_id, sources, 2, &options, NULL), 0);
	nt_loop_run(loop);
	nt_loop_destroy(loop);
	source.batches = source.next = second.batches = second.next = 0;
	memset(source.script, 0, sizeof(source.script));
	memset(second.script, 0, sizeof(second.script));
	return &ring.sources[0].loop;
}

static const struct nt_loop_counters *run(void)
{
	return run_as(0);
}

static const struct nt_record *next_record(void)
{
	const struct nt_record *record = nt_reader_next(&reader, NULL);

	assert_non_null(record);
	return record;
}

static struct nt_packet *packet(struct scripted *of, uint32_t flow_id)
{
	struct nt_packet *made = scripted_packet(of, 100, 0, 0);

	made->flow_id = flow_id;
	return made;
}

static void what_was_left_out_is_counted_although_it_is_in_no_batch(void **state)
{
	const struct nt_loop_counters *counters;

	(void)state;
	source.batches = 1;
	packet(&source, 1);
	source.script[0].unselected = 5;
	source.batches = 2;
	packet(&source, 1);
	counters = run();
	assert_int_equal(counters->unselected, 5);
	assert_int_equal(counters->packets, 2);
}

static void a_poll_that_left_all_out_is_released_and_the_source_is_not_idle(void **state)
{
	const struct nt_loop_counters *counters;

	(void)state;
	source.batches = 3;
	source.script[0].unselected = 64;
	source.script[2].unselected = 1;
	counters = run();
	assert_int_equal(counters->unselected, 65);
	assert_int_equal(source.releases, 2); /* the second poll brought nothing at all */
	assert_int_equal(counters->polls_busy, 2);
	assert_int_equal(counters->polls_idle, 1);
	assert_int_equal(counters->batches, 0);
	assert_int_equal(source.position, 65);
}

/* As a source that knows nothing of selection, and leaves that count alone. */
static int poll_without_a_word(struct nt_source *from, struct nt_batch *batch)
{
	struct scripted *self = (struct scripted *)from;

	if (self->next == self->batches)
		return -ENODATA;
	batch->count = 1;
	batch->packets[0] = self->script[self->next++].packets[0];
	return 1;
}

static void the_count_of_one_source_is_not_taken_for_anothers(void **state)
{
	static struct nt_source_ops wordless;

	(void)state;
	wordless = scripted_ops;
	wordless.poll = poll_without_a_word;
	second.source.ops = &wordless;
	for (int batch = 0; batch < 2; batch++) {
		source.script[source.batches++].unselected = 3;
		second.batches++;
		packet(&second, 1);
	}
	run();
	assert_int_equal(ring.sources[0].loop.unselected, 6);
	assert_int_equal(ring.sources[1].loop.packets, 2);
	assert_int_equal(ring.sources[1].loop.unselected, 0);
}

static void what_waits_behind_packets_left_out_is_drained_at_the_stop(void **state)
{
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;

	(void)state;
	source.at_end = 0;
	source.batches = 3;
	source.script[0].unselected = source.script[1].unselected = 64;
	packet(&source, 1);
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, sources, 1, &options, NULL), 0);
	loop->stop = 1;
	nt_loop_run(loop);
	nt_loop_destroy(loop);
	assert_int_equal(ring.sources[0].loop.packets, 1);
}

static void packets_of_no_flow_unparsed_and_badly_stamped_are_counted(void **state)
{
	const struct nt_loop_counters *counters;

	(void)state;
	source.batches = 1;
	packet(&source, 1);
	packet(&source, NT_FLOW_OTHER);
	packet(&source, NT_FLOW_OTHER)->flags = NT_RECORD_UNPARSED;
	packet(&source, NT_RING_FLOWS_MAX + 1); /* of a flow that cannot be */
	packet(&source, 2)->flags = NT_RECORD_BAD_STAMP | NT_RECORD_RAW_IP;
	counters = run();
	assert_int_equal(counters->other, 3);
	assert_int_equal(counters->unparsed, 1);
	assert_int_equal(counters->bad_stamps, 1);
	assert_int_equal(next_record()->flags, 0);
	assert_int_equal(next_record()->flags, 0);
	assert_int_equal(next_record()->flags, NT_RECORD_UNPARSED);
	assert_int_equal(next_record()->flow_id, NT_FLOW_OTHER);
	assert_int_equal(next_record()->flags, NT_RECORD_BAD_STAMP | NT_RECORD_RAW_IP);
}

static struct nt_packet *packet_of_file(int64_t stamp_ns)
{
	struct nt_packet *made = packet(&source, 1);

	made->ts_kind = NT_TS_FILE;
	made->stamp_clock = NT_CLOCK_UTC;
	made->stamp_ns = stamp_ns;
	return made;
}

static void a_files_stamp_stands_as_it_was_and_says_nothing_of_a_delay(void **state)
{
	const struct nt_loop_counters *counters;
	const struct nt_record *record;

	(void)state;
	source.batches = 1;
	packet_of_file(1234567890123456789);
	counters = run();
	record = next_record();
	assert_int_equal(record->ts_ns, 1234567890123456789);
	assert_int_equal(record->ts_kind, NT_TS_FILE);
	assert_int_equal(record->rx_delay_ns, NT_RX_DELAY_UNKNOWN);
	assert_int_equal(record->flags, 0);
	assert_int_equal(counters->delay_max_ns, 0);
	assert_int_equal(counters->unstamped, 0);
	for (uint32_t bucket = 0; bucket < NT_DELAY_BUCKETS; bucket++)
		assert_int_equal(counters->delay_histogram[bucket], 0);
}

static void a_bad_stamp_does_not_put_those_behind_it_into_the_past(void **state)
{
	static const uint16_t flags[] = {0, NT_RECORD_BAD_STAMP, 0, NT_RECORD_BACKWARDS};

	(void)state;
	source.batches = 1;
	packet_of_file(UTC);
	packet_of_file(INT64_MAX)->flags = NT_RECORD_BAD_STAMP;
	packet_of_file(UTC + 1);
	packet_of_file(UTC);
	assert_int_equal(run()->backwards, 1);
	for (int at = 0; at < 4; at++)
		assert_int_equal(next_record()->flags, flags[at]);
}

static void a_first_stamp_before_1970_is_not_before_any_other(void **state)
{
	static const uint16_t flags[] = {0, 0, NT_RECORD_BACKWARDS};

	(void)state;
	source.batches = 1;
	packet_of_file(-2);
	packet_of_file(-1);
	packet_of_file(-2);
	assert_int_equal(run()->backwards, 1);
	for (int at = 0; at < 3; at++)
		assert_int_equal(next_record()->flags, flags[at]);
}

static void expect_sequence(uint32_t flow_id, uint64_t flow_seq)
{
	const struct nt_record *record = next_record();

	assert_int_equal(record->flow_id, flow_id);
	assert_int_equal(record->flow_seq, flow_seq);
}

static void unnumbered_packets_are_numbered_by_flow_over_all_sources(void **state)
{
	(void)state;
	source.source.numbers_flows = second.source.numbers_flows = 1;
	source.batches = second.batches = 1;
	packet(&source, 1);
	packet(&source, 2);
	packet(&source, 1);
	packet(&second, 1);
	packet(&second, NT_FLOW_OTHER);
	run();
	expect_sequence(1, 1);
	expect_sequence(2, 1);
	expect_sequence(1, 2);
	expect_sequence(1, 3);
	expect_sequence(NT_FLOW_OTHER, 1);
	source.batches = 1;
	packet(&source, 1);
	run();
	expect_sequence(1, 1); /* the next epoch's first */
}

static void a_source_that_numbers_itself_is_left_alone(void **state)
{
	(void)state;
	second.source.numbers_flows = 1;
	source.batches = second.batches = 1;
	packet(&source, 1)->flow_seq = 77;
	packet(&source, 1);
	packet(&second, 1)->flow_seq = 99;
	run();
	expect_sequence(1, 77);
	expect_sequence(1, 0);
	expect_sequence(1, 1);
}

static void what_does_not_fit_leaves_a_gap_and_what_stands_there_already_none(void **state)
{
	const uint64_t holder = 0xA1;

	(void)state;
	source.source.holder_id = holder;
	source.source.numbers_flows = 1;
	source.batches = 1;
	packet(&source, 1);
	packet(&source, 1);
	run_as(holder);
	source.position = 0; /* it died before the release */
	source.batches = 1;
	packet(&source, 1);
	packet(&source, 1);
	packet(&source, 1);
	packet(&source, 1)->capture_length = 40000;
	packet(&source, 1);
	run_as(holder);
	for (uint64_t flow_seq = 1; flow_seq <= 2; flow_seq++)
		expect_sequence(1, flow_seq);
	expect_sequence(1, 1);
	expect_sequence(1, 3);
	assert_null(nt_reader_next(&reader, NULL));
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(what_was_left_out_is_counted_although_it_is_in_no_batch),
		LOOP_TEST(a_poll_that_left_all_out_is_released_and_the_source_is_not_idle),
		LOOP_TEST(the_count_of_one_source_is_not_taken_for_anothers),
		LOOP_TEST(what_waits_behind_packets_left_out_is_drained_at_the_stop),
		LOOP_TEST(packets_of_no_flow_unparsed_and_badly_stamped_are_counted),
		LOOP_TEST(a_files_stamp_stands_as_it_was_and_says_nothing_of_a_delay),
		LOOP_TEST(a_bad_stamp_does_not_put_those_behind_it_into_the_past),
		LOOP_TEST(a_first_stamp_before_1970_is_not_before_any_other),
		LOOP_TEST(unnumbered_packets_are_numbered_by_flow_over_all_sources),
		LOOP_TEST(a_source_that_numbers_itself_is_left_alone),
		LOOP_TEST(what_does_not_fit_leaves_a_gap_and_what_stands_there_already_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
