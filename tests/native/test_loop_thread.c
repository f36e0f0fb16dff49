/* SPDX-License-Identifier: Apache-2.0 */
/* The loop as it runs: its threads, its end. */
#include "atomic.h"
#include "clock.h"
#include "loop/state.h"
#include "ring/reader.h"
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

/* Says how many packets each poll brings, and notes what it was asked for and how often it was waited for. */
static struct {
	struct scripted scripted;
	const int *polls;
	uint32_t limit, waits;
} counted;

static int counted_poll(struct nt_source *source, struct nt_batch *batch)
{
	int got = *counted.polls++;

	(void)source;
	counted.limit = batch->limit;
	for (; (int)batch->count < got; batch->count++)
		batch->packets[batch->count] = (struct nt_packet){.data = counted.scripted.frame,
								  .capture_length = 60 + batch->count * 10,
								  .wire_length = 10000 + batch->count};
	return got;
}

static void counted_wait(struct nt_source *source, int timeout_ms)
{
	(void)source;
	(void)timeout_ms;
	counted.waits++;
}

static void run_counted(const int *polls, const struct nt_loop_options *options)
{
	static struct nt_source_ops ops;
	struct nt_source *sources[] = {&counted.scripted.source};
	struct nt_loop *loop;

	ops = scripted_ops;
	ops.poll = counted_poll;
	ops.wait = counted_wait;
	scripted_init(&counted.scripted, "afxdp:test0:0");
	counted.scripted.source.ops = &ops;
	counted.polls = polls;
	counted.waits = 0;
	assert_int_equal(nt_loop_create(&loop, &ring, 1 + ring.sources[0].loop.packets, 0, sources, 1, options, NULL), 0);
	nt_loop_run(loop);
	nt_loop_destroy(loop);
}

static void a_source_is_asked_for_as_many_packets_as_configured(void **state)
{
	static const int polls[] = {0, -ENODATA};
	static const uint32_t asked[] = {0, 1, NT_BATCH_PACKETS}, expected[] = {64, 1, NT_BATCH_PACKETS};

	(void)state;
	for (int at = 0; at < 3; at++) {
		const struct nt_loop_options options = {.core = -1, .batch = asked[at]};

		run_counted(polls, &options);
		assert_int_equal(counted.limit, expected[at]);
	}
}

static void a_batch_larger_than_any_is_refused(void **state)
{
	const struct nt_loop_options options = {.core = -1, .batch = NT_BATCH_PACKETS + 1};
	struct nt_source *source = synthetic(1, 0);
	struct nt_fault fault;
	struct nt_loop *loop;

	(void)state;
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, &source, 1, &options, &fault), -EINVAL);
	assert_string_equal(fault.text, "batch: expected 1 to 256, found 257");
	source->ops->close(source);
}

static void frames_arrive_whole_however_far_ahead_they_are_fetched(void **state)
{
	static const uint32_t distances[] = {0, 1, 8, NT_PREFETCH_MAX};
	static const int polls[] = {1, 7, 8, 9, 63, 64, 65, NT_BATCH_PACKETS, -ENODATA};
	const struct nt_record *record;
	struct nt_reader reader;

	(void)state;
	assert_int_equal(nt_reader_init(&reader, &ring, NT_RESUME_OLDEST, NULL), 0);
	assert_int_equal(nt_reader_seek(&reader, NT_START_OLDEST, 0), 0);
	for (int at = 0; at < 4; at++) {
		const struct nt_loop_options options = {.core = -1, .batch = NT_BATCH_PACKETS, .prefetch = distances[at]};

		run_counted(polls, &options);
		for (const int *poll = polls; *poll > 0; poll++)
			for (int number = 0; number < *poll; number++) {
				record = nt_reader_next(&reader, NULL);
				assert_non_null(record);
				assert_int_equal(record->wire_length, 10000 + number);
				assert_memory_equal(record + 1, counted.scripted.frame, 60 + (size_t)number * 10);
			}
	}
	assert_int_equal(reader.lost, 0);
	nt_reader_free(&reader);
}

static void after_a_full_poll_a_loop_that_may_sleep_naps_once_before_it_waits(void **state)
{
	static const int full[] = {8, 0, 0, 8, 0, -ENODATA}, few[] = {7, 0, 0, 7, 0, -ENODATA};
	const struct nt_loop_options options = {.core = -1, .sleep_idle = true};

	(void)state;
	run_counted(full, &options);
	assert_int_equal(counted.waits, 1);
	run_counted(few, &options);
	assert_int_equal(counted.waits, 3);
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
		cmocka_unit_test_setup_teardown(a_source_is_asked_for_as_many_packets_as_configured, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_batch_larger_than_any_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(frames_arrive_whole_however_far_ahead_they_are_fetched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(after_a_full_poll_a_loop_that_may_sleep_naps_once_before_it_waits, set_up,
						tear_down),
		cmocka_unit_test(sources_that_need_system_calls_are_not_caged),
		cmocka_unit_test_setup_teardown(a_core_that_does_not_exist_is_a_fault_of_one_line, set_up, tear_down),
		cmocka_unit_test(lists_of_cores_are_read_as_the_kernel_writes_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
