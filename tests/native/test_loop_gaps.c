/* SPDX-License-Identifier: Apache-2.0 */
/* A loop that spins tells how often it came late to its sources; one that may sleep tells that nobody measures. */
#include "clock.h"
#include "loop/state.h"
#include "scripted_source.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define STALL_NS 3000000
#define DEADLINE_NS 10000000000

static struct nt_ring ring;
static uint64_t polls_left; /* the last of which stalls, and then the source ends */

static int set_up(void **state)
{
	(void)state;
	return nt_ring_make_private(&ring, 1u << 20, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	nt_ring_close(&ring);
	return 0;
}

static uint64_t gaps_counted(void)
{
	uint64_t sum = 0;

	for (uint32_t bucket = 0; bucket < NT_GAP_BUCKETS; bucket++)
		sum += ring.descriptor->gap_histogram[bucket];
	return sum;
}

static int stalling_poll(struct nt_source *source, struct nt_batch *batch)
{
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + STALL_NS;

	(void)source;
	(void)batch;
	if (!polls_left)
		return -ENODATA;
	if (!--polls_left)
		while (nt_clock_ns(CLOCK_MONOTONIC) < until_ns)
			continue;
	return 0;
}

static void run_to_its_end(struct scripted *source, const struct nt_loop_options *options)
{
	struct nt_source *sources[] = {&source->source};
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + DEADLINE_NS;
	struct nt_loop *loop;

	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, sources, 1, options, NULL), 0);
	assert_int_equal(nt_loop_start(loop, NULL), 0);
	while (!nt_loop_ended(loop) && nt_clock_ns(CLOCK_MONOTONIC) < until_ns)
		sched_yield();
	assert_true(nt_loop_ended(loop));
	assert_int_equal(nt_loop_stop(loop), 0);
	nt_loop_destroy(loop);
}

static void a_poll_that_stalls_is_a_gap_of_its_length(void **state)
{
	static struct nt_source_ops ops;
	static struct scripted source;
	const struct nt_loop_options options = {.core = -1};

	(void)state;
	scripted_init(&source, "afxdp:test0:0");
	ops = scripted_ops;
	ops.poll = stalling_poll;
	source.source.ops = &ops;
	polls_left = 100;
	run_to_its_end(&source, &options);
	assert_int_equal(ring.descriptor->gap_threshold_ns, NT_LOOP_GAP_NS);
	assert_true(gaps_counted() >= 1);
	assert_true(ring.descriptor->gap_max_ns >= STALL_NS * 9 / 10);
	assert_true(ring.descriptor->gaps_ns >= ring.descriptor->gap_max_ns);
}

static void a_loop_that_may_sleep_measures_nothing(void **state)
{
	const struct nt_loop_options options = {.core = -1, .sleep_idle = true};
	static struct nt_source_ops ops;
	static struct scripted source;

	(void)state;
	scripted_init(&source, "afxdp:test0:0");
	ops = scripted_ops;
	ops.poll = stalling_poll;
	source.source.ops = &ops;
	polls_left = 3;
	ring.descriptor->gap_threshold_ns = NT_LOOP_GAP_NS; /* a predecessor's */
	run_to_its_end(&source, &options);
	assert_int_equal(ring.descriptor->gap_threshold_ns, 0);
	assert_int_equal(gaps_counted(), 0);
}

static void a_gap_goes_into_the_bucket_of_its_length(void **state)
{
	static struct scripted source;
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;

	(void)state;
	scripted_init(&source, "afxdp:test0:0");
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, sources, 1, &options, NULL), 0);
	nt_gaps_open(loop);
	assert_true(loop->gap_ticks > 0 && loop->gap_ticks < UINT64_MAX);
	loop->ticks_per_ns = 1.0;
	nt_gaps_count(loop, 1 << 14);
	nt_gaps_count(loop, (1 << 14) + 5);
	nt_gaps_count(loop, UINT64_C(1) << 50);
	nt_gaps_count(loop, UINT64_MAX - 7); /* the counter went back */
	assert_int_equal(ring.descriptor->gap_histogram[15], 2);
	assert_int_equal(ring.descriptor->gap_histogram[NT_GAP_BUCKETS - 1], 1);
	assert_int_equal(gaps_counted(), 3);
	assert_int_equal(ring.descriptor->gap_max_ns, UINT64_C(1) << 50);
	nt_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_poll_that_stalls_is_a_gap_of_its_length, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_loop_that_may_sleep_measures_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_gap_goes_into_the_bucket_of_its_length, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
