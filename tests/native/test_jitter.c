/* SPDX-License-Identifier: Apache-2.0 */
/* A spinning thread sees who takes its core, and nothing where nobody can be told from the clock. */
#include "../../native/jitter/jitter.h"
#include "../../native/ticks.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int first_core(void)
{
	cpu_set_t allowed;

	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (int core = 0; core < CPU_SETSIZE; core++)
		if (CPU_ISSET((size_t)core, &allowed))
			return core;
	return -1;
}

static void spin_for(int64_t ns)
{
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + ns;

	while (nt_clock_ns(CLOCK_MONOTONIC) < until_ns)
		continue;
}

static void ticks_go_at_the_pace_of_the_clock(void **state)
{
	double rate = nt_ticks_per_ns();
	int64_t begun_ns = nt_clock_ns(CLOCK_MONOTONIC);
	uint64_t begun = nt_ticks();
	double found;

	(void)state;
	spin_for(20000000);
	found = (double)(nt_ticks() - begun) / (double)(nt_clock_ns(CLOCK_MONOTONIC) - begun_ns);
	assert_true(found / rate > 0.95 && found / rate < 1.05);
}

static void every_look_is_in_the_histogram_and_every_gap_is_counted(void **state)
{
	struct nt_jitter_facts facts;
	struct nt_jitter *jitter;
	const uint64_t *lengths;
	uint64_t sum = 0;

	(void)state;
	assert_int_equal(nt_jitter_start(&jitter, first_core(), 1, 16, NULL), 0);
	spin_for(30000000);
	lengths = nt_jitter_stop(jitter, &facts);
	assert_true(facts.looks > 1000);
	for (uint32_t bucket = 0; bucket < NT_JITTER_BUCKETS; bucket++)
		sum += facts.histogram[bucket];
	assert_int_equal(sum, facts.looks);
	/* Nearly each look takes a nanosecond at least, so all are gaps here, and more than could be noted. */
	assert_true(facts.gaps <= facts.looks);
	assert_true(facts.gaps + facts.histogram[0] + facts.histogram[1] >= facts.looks);
	assert_int_equal(facts.gaps_kept, 16);
	assert_true(facts.gaps_ns <= facts.spun_ns + 1 && facts.gaps_ns + 1 >= facts.spun_ns);
	for (uint32_t at = 0; at < 16; at++)
		assert_true(lengths[at] >= facts.shortest_ns && lengths[at] <= facts.longest_ns);
	nt_jitter_destroy(jitter);
}

/* Shares the core with the thread that measures: each must wait for the other. */
static void *rival(void *argument)
{
	(void)argument;
	spin_for(100000000);
	return NULL;
}

static void a_rival_on_the_same_core_is_seen(void **state)
{
	struct nt_jitter_facts facts;
	pthread_attr_t attributes;
	struct nt_jitter *jitter;
	pthread_t thread;
	cpu_set_t cores;
	int core = first_core();

	(void)state;
	CPU_ZERO(&cores);
	CPU_SET((size_t)core, &cores);
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setaffinity_np(&attributes, sizeof(cores), &cores), 0);
	assert_int_equal(nt_jitter_start(&jitter, core, 200000, 1024, NULL), 0);
	assert_int_equal(pthread_create(&thread, &attributes, rival, NULL), 0);
	pthread_join(thread, NULL);
	nt_jitter_stop(jitter, &facts);
	assert_true(facts.gaps > 0);
	assert_true(facts.longest_ns >= 200000);
	assert_true(facts.gaps_ns > 1000000);
	pthread_attr_destroy(&attributes);
	nt_jitter_destroy(jitter);
}

static void a_core_that_is_not_there_is_refused(void **state)
{
	struct nt_jitter *jitter = NULL;
	struct nt_fault fault;

	(void)state;
	assert_int_equal(nt_jitter_start(&jitter, CPU_SETSIZE - 1, 200, 16, &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "core 1023: expected one that this process may use"));
	assert_int_equal(nt_jitter_start(&jitter, -1, 200, 16, &fault), -EINVAL);
	assert_null(jitter);
}

static void destroying_one_that_spins_ends_it(void **state)
{
	struct nt_jitter *jitter;

	(void)state;
	assert_int_equal(nt_jitter_start(&jitter, first_core(), 200, 16, NULL), 0);
	nt_jitter_destroy(jitter);
	nt_jitter_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_go_at_the_pace_of_the_clock),
		cmocka_unit_test(every_look_is_in_the_histogram_and_every_gap_is_counted),
		cmocka_unit_test(a_rival_on_the_same_core_is_seen),
		cmocka_unit_test(a_core_that_is_not_there_is_refused),
		cmocka_unit_test(destroying_one_that_spins_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
