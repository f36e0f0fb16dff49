/* SPDX-License-Identifier: Apache-2.0 */
/* The loop as it runs: its threads, its end. */
#include "atomic.h"
#include "clock.h"
#include "loop/state.h"
#include "scripted_source.h"
#include "source/synthetic.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define DEADLINE_NS 10000000000

static struct nt_ring ring;

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

static struct nt_source *synthetic(uint64_t count, uint64_t rate_pps)
{
	struct nt_plan_source plan = {
		.kind = NT_SOURCE_SYNTHETIC,
		.interface = "made0",
		.synthetic_frame_bytes = 242,
		.synthetic_count = count,
		.synthetic_rate_pps = rate_pps,
	};
	struct nt_source *source;

	assert_int_equal(nt_synthetic_open(&source, &plan, NULL, 0, NULL), 0);
	return source;
}

static struct nt_loop *start(struct nt_source *source, const struct nt_loop_options *options)
{
	struct nt_loop *loop;

	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, &source, 1, options, NULL), 0);
	assert_int_equal(nt_loop_start(loop, NULL), 0);
	return loop;
}

/* Waits until a counter of slot 0 has reached `least`, or the deadline. */
static void wait_for(const uint64_t *counter, uint64_t least)
{
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + DEADLINE_NS;

	while (__atomic_load_n(counter, __ATOMIC_RELAXED) < least && nt_clock_ns(CLOCK_MONOTONIC) < until_ns)
		sched_yield();
}

static void a_finite_source_ends_the_loop_and_the_books_balance(void **state)
{
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *source = synthetic(100000, 0);
	struct nt_loop *loop = start(source, &options);
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + DEADLINE_NS;

	(void)state;
	while (!nt_loop_ended(loop) && nt_clock_ns(CLOCK_MONOTONIC) < until_ns)
		sched_yield();
	assert_true(nt_loop_ended(loop));
	assert_int_equal(nt_loop_stop(loop), 0);
	assert_int_equal(ring.sources[0].loop.packets, 100000);
	assert_int_equal(ring.sources[0].stats.offered, 100000);
	assert_true(ring.sources[0].stats.updated_ns > 0);
	nt_loop_destroy(loop);
	source->ops->close(source);
}

static void an_endless_source_is_stopped_at_once_and_sleeping_is_allowed(void **state)
{
	const struct nt_loop_options options = {.core = 0, .sleep_idle = true, .seccomp = NT_SECCOMP_COUNT, .realtime = 10};
	struct nt_source *source = synthetic(0, 20000);
	struct nt_loop *loop = start(source, &options);
	int64_t began_ns;

	(void)state;
	assert_int_equal(nt_loop_facts(loop)->seccomp, NT_SECCOMP_OFF);
	assert_non_null(strstr(nt_loop_facts(loop)->seccomp_reason, "sleep"));
	assert_false(nt_loop_facts(loop)->realtime); /* no test machine isolates core 0 */
	assert_non_null(strstr(nt_loop_facts(loop)->realtime_reason, "isolated"));
	wait_for(&ring.sources[0].loop.packets, 2000);
	wait_for(&ring.sources[0].stats.offered, 2000); /* the helper publishes while the loop runs */
	assert_true(nt_load_relaxed(&ring.sources[0].stats.offered) >= 2000);
	began_ns = nt_clock_ns(CLOCK_MONOTONIC);
	assert_int_equal(nt_loop_stop(loop), 0);
	assert_true(nt_clock_ns(CLOCK_MONOTONIC) - began_ns < 900000000);
	assert_int_equal(ring.sources[0].stats.offered, ring.sources[0].loop.packets);
	nt_loop_destroy(loop);
	source->ops->close(source);
}

/* Waits for nothing while asked to stop: all that was there must be in the ring. */
static void what_waits_in_a_source_is_drained_at_the_stop(void **state)
{
	static struct scripted source;
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;

	(void)state;
	scripted_init(&source, "afxdp:test0:0");
	source.at_end = 0;
	for (source.batches = 1; source.batches < SCRIPT_BATCHES; source.batches++)
		scripted_packet(&source, 100, source.batches, 0);
	source.batches--;
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, sources, 1, &options, NULL), 0);
	loop->stop = 1; /* before the first poll */
	nt_loop_run(loop);
	assert_int_equal(ring.sources[0].loop.packets, SCRIPT_BATCHES - 1);
	nt_loop_destroy(loop);
}

/* What a generator has not made and a file's reader has not read waits nowhere. */
static void a_file_is_not_read_to_its_end_at_the_stop(void **state)
{
	static struct scripted source;
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;

	(void)state;
	scripted_init(&source, "pcap:test0:0");
	source.source.kind = NT_SOURCE_PCAP;
	source.at_end = 0;
	for (source.batches = 1; source.batches < SCRIPT_BATCHES; source.batches++)
		scripted_packet(&source, 100, source.batches, 0);
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, sources, 1, &options, NULL), 0);
	loop->stop = 1; /* before the first poll */
	nt_loop_run(loop);
	assert_true(ring.sources[0].loop.packets < 2);
	nt_loop_destroy(loop);
}

static void sources_that_need_system_calls_are_not_caged(void **state)
{
	static const uint32_t kinds[] = {NT_SOURCE_SOCKET, NT_SOURCE_PCAP};
	static const char *const words[] = {"socket source", "pcap source reads its file"};
	struct nt_source source = {0};
	static struct nt_loop loop;

	(void)state;
	loop.inlet_count = 1;
	loop.inlets[0].source = &source;
	for (int at = 0; at < 2; at++) {
		source.kind = kinds[at];
		assert_non_null(strstr(nt_seccomp_obstacle(&loop), words[at]));
	}
	source.kind = NT_SOURCE_PACKET;
	assert_null(strstr(nt_seccomp_obstacle(&loop), "source"));
}

static void a_core_that_does_not_exist_is_a_fault_of_one_line(void **state)
{
	const struct nt_loop_options options = {.core = 1000};
	struct nt_source *source = synthetic(0, 1000);
	struct nt_fault fault = {0};
	struct nt_loop *loop;

	(void)state;
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, &source, 1, &options, NULL), 0);
	assert_int_equal(nt_loop_start(loop, &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "core 1000"));
	nt_loop_destroy(loop);
	source->ops->close(source);
}

static void lists_of_cores_are_read_as_the_kernel_writes_them(void **state)
{
	(void)state;
	assert_false(nt_core_list_has("\n", 0));
	assert_false(nt_core_list_has("", 0));
	assert_true(nt_core_list_has("3\n", 3));
	assert_true(nt_core_list_has("0,2-5,7\n", 4));
	assert_true(nt_core_list_has("0,2-5,7\n", 7));
	assert_false(nt_core_list_has("0,2-5,7\n", 6));
	assert_false(nt_core_list_has("0,2-5,7\n", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_finite_source_ends_the_loop_and_the_books_balance, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_endless_source_is_stopped_at_once_and_sleeping_is_allowed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_waits_in_a_source_is_drained_at_the_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_is_not_read_to_its_end_at_the_stop, set_up, tear_down),
		cmocka_unit_test(sources_that_need_system_calls_are_not_caged),
		cmocka_unit_test_setup_teardown(a_core_that_does_not_exist_is_a_fault_of_one_line, set_up, tear_down),
		cmocka_unit_test(lists_of_cores_are_read_as_the_kernel_writes_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
