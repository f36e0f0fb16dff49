/* SPDX-License-Identifier: Apache-2.0 */
/* A predecessor dies somewhere in poll -> publish -> count -> release; the successor sees the same batch again, or does not. */
#include "loop/state.h"
#include "ring/reader.h"
#include "scripted_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define HOLDER 0xA1u
#define OTHER_HOLDER 0xB2u

static struct nt_ring ring;
static struct scripted source;
static uint64_t next_seq;

/* The next process attaches as the writer. */
static void attach(uint64_t holder_id)
{
	assert_int_equal(nt_ring_restart(&ring, holder_id, &next_seq, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(nt_ring_make_private(&ring, 1u << 20, NULL), 0);
	scripted_init(&source, "afxdp:test0:0");
	source.source.holder_id = HOLDER;
	attach(HOLDER);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nt_ring_close(&ring);
	return 0;
}

/* One batch of the flow sequences `first` to `last`. */
static void script_batch(uint64_t first, uint64_t last)
{
	source.batches++;
	for (uint64_t seq = first; seq <= last; seq++)
		scripted_packet(&source, 100, seq, 0);
}

static struct nt_loop_counters *run(uint64_t holder_id)
{
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;
	uint32_t slot;

	assert_int_equal(nt_loop_create(&loop, &ring, next_seq, holder_id, sources, 1, &options, NULL), 0);
	slot = loop->inlets[0].slot;
	nt_loop_run(loop);
	nt_loop_destroy(loop);
	source.batches = source.next = 0;
	memset(source.script, 0, sizeof(source.script));
	return &ring.sources[slot].loop;
}

/* Each flow sequence from 1 to `last` stands in the ring exactly once, in order, and the counters know it. */
static void assert_ring_holds_each_once(const struct nt_loop_counters *counters, uint64_t last)
{
	const struct nt_record *record;
	struct nt_reader reader;
	uint64_t seq = 0;

	assert_int_equal(nt_reader_init(&reader, &ring, NT_RESUME_OLDEST, NULL), 0);
	assert_int_equal(nt_reader_seek(&reader, NT_START_OLDEST, 0), 0);
	while ((record = nt_reader_next(&reader, NULL)))
		assert_int_equal(record->flow_seq, ++seq);
	assert_int_equal(seq, last);
	assert_int_equal(counters->packets, last);
	assert_int_equal(counters->bytes, last * 100);
	nt_reader_free(&reader);
}

static void a_batch_published_but_not_released_is_not_repeated(void **state)
{
	const struct nt_loop_counters *counters;

	(void)state;
	script_batch(1, 10);
	run(HOLDER);
	attach(HOLDER);
	script_batch(6, 14); /* 6 to 10 were the predecessor's last batch, 11 to 14 came since */
	script_batch(15, 20);
	counters = run(HOLDER);
	assert_int_equal(counters->repeated, 5);
	assert_ring_holds_each_once(counters, 20);
}

static void a_batch_released_whole_leaves_nothing_to_leave_out(void **state)
{
	const struct nt_loop_counters *counters;

	(void)state;
	script_batch(1, 10);
	run(HOLDER);
	attach(HOLDER);
	script_batch(11, 20);
	counters = run(HOLDER);
	assert_int_equal(counters->repeated, 0);
	assert_ring_holds_each_once(counters, 20);
}

static void two_successors_that_die_at_once_still_repeat_nothing(void **state)
{
	const struct nt_loop_counters *counters;

	(void)state;
	script_batch(1, 10);
	run(HOLDER);
	attach(HOLDER); /* and dies before its first poll */
	attach(HOLDER);
	script_batch(1, 12);
	counters = run(HOLDER);
	assert_int_equal(counters->repeated, 10);
	assert_ring_holds_each_once(counters, 12);
}

static void only_the_first_batch_is_checked(void **state)
{
	(void)state;
	script_batch(1, 10);
	run(HOLDER);
	attach(HOLDER);
	script_batch(11, 12);
	script_batch(3, 4); /* no hand-over brings this; were the check still on, it would hide a source's fault */
	assert_int_equal(run(HOLDER)->repeated, 0);
}

static void another_holders_sequences_begin_anew_and_none_is_left_out(void **state)
{
	const struct nt_loop_counters *counters;

	(void)state;
	script_batch(1, 10);
	run(HOLDER);
	attach(OTHER_HOLDER);
	source.source.holder_id = OTHER_HOLDER;
	script_batch(1, 10);
	counters = run(OTHER_HOLDER);
	assert_int_equal(counters->repeated, 0);
	assert_int_equal(counters->packets, 20);
}

static void sources_without_a_holder_never_repeat(void **state)
{
	(void)state;
	source.source.holder_id = 0;
	attach(0);
	script_batch(1, 10);
	run(0);
	attach(0);
	script_batch(1, 10);
	assert_int_equal(run(0)->repeated, 0);
}

static void other_flows_of_the_batch_are_kept(void **state)
{
	const struct nt_loop_counters *counters;

	(void)state;
	script_batch(1, 10);
	run(HOLDER);
	attach(HOLDER);
	script_batch(10, 11);
	scripted_packet(&source, 100, 5, 0)->flow_id = 2;
	scripted_packet(&source, 100, 0, 0)->flow_id = NT_FLOW_OTHER; /* no sequence: nothing to know it by */
	counters = run(HOLDER);
	assert_int_equal(counters->repeated, 1);
	assert_int_equal(counters->packets, 13);
}

static void records_published_by_one_that_died_before_counting_are_counted(void **state)
{
	struct nt_loop_counters *counters;

	(void)state;
	script_batch(1, 10);
	counters = run(HOLDER);
	counters->packets -= 10; /* as if killed right after nt_writer_publish */
	counters->bytes -= 10 * 100;
	attach(HOLDER);
	script_batch(1, 12);
	assert_ring_holds_each_once(run(HOLDER), 12);
}

static void a_difference_that_no_batch_explains_is_left_to_the_audit(void **state)
{
	struct nt_loop_counters *counters;

	(void)state;
	script_batch(1, 60);
	script_batch(61, 120);
	counters = run(HOLDER);
	counters->packets -= 100;
	attach(HOLDER);
	assert_int_equal(run(HOLDER)->packets, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_batch_published_but_not_released_is_not_repeated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_batch_released_whole_leaves_nothing_to_leave_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(two_successors_that_die_at_once_still_repeat_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_the_first_batch_is_checked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_holders_sequences_begin_anew_and_none_is_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sources_without_a_holder_never_repeat, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_flows_of_the_batch_are_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(records_published_by_one_that_died_before_counting_are_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_difference_that_no_batch_explains_is_left_to_the_audit, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
