/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/latency_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ROOM 1000
#define SECOND INT64_C(1000000000)

static struct nt_samples samples;

static int open_samples(void **state)
{
	(void)state;
	return nt_samples_open(&samples, ROOM, 0, NULL);
}

static int close_samples(void **state)
{
	(void)state;
	nt_samples_close(&samples);
	return 0;
}

/* 1 to `last`, in an order that is not theirs. */
static void add_up_to(int64_t last)
{
	for (int64_t at = 0; at < last; at++)
		nt_samples_add(&samples, at * 7 % last + 1);
	nt_samples_sort(&samples);
}

static void a_percentile_is_the_sample_of_its_rank(void **state)
{
	(void)state;
	add_up_to(ROOM - 1);
	assert_int_equal(nt_samples_quantile(&samples, 0), 1);
	assert_int_equal(nt_samples_quantile(&samples, 500), 500);
	assert_int_equal(nt_samples_quantile(&samples, 990), 990);
	assert_int_equal(nt_samples_quantile(&samples, 999), 999);
	assert_int_equal(nt_samples_quantile(&samples, 1000), ROOM - 1);
}

static void of_few_samples_the_tail_is_the_largest(void **state)
{
	(void)state;
	add_up_to(10);
	assert_int_equal(nt_samples_quantile(&samples, 500), 5);
	assert_int_equal(nt_samples_quantile(&samples, 901), 10);
	assert_int_equal(nt_samples_quantile(&samples, 999), 10);
}

static void the_first_ones_are_left_out_and_yet_counted(void **state)
{
	(void)state;
	samples.skip = 3;
	for (int64_t delay_ns = 1000; delay_ns > 990; delay_ns--)
		nt_samples_add(&samples, delay_ns);
	nt_samples_sort(&samples);
	assert_int_equal(samples.added, 10);
	assert_int_equal(samples.count, 7);
	assert_int_equal(nt_samples_quantile(&samples, 1000), 997);
}

static void what_finds_no_room_is_counted_and_harms_nothing(void **state)
{
	(void)state;
	for (int64_t at = 0; at < ROOM + 5; at++)
		nt_samples_add(&samples, at);
	assert_int_equal(samples.count, ROOM);
	assert_int_equal(samples.added, ROOM + 5);
}

static void those_above_a_delay_are_counted(void **state)
{
	(void)state;
	add_up_to(10);
	assert_int_equal(nt_samples_above(&samples, 0), 10);
	assert_int_equal(nt_samples_above(&samples, 7), 3);
	assert_int_equal(nt_samples_above(&samples, 10), 0);
}

/* In one second: one stall of 2 ms and ten of 100 us. A packet waits longer than x with the probability of all that is left of the
 * stalls after x: 1 ms in a second at 1 ms, 2 ms at 1/11 ms, 3 ms at 0. */
static void stalls_are_told_as_the_wait_of_packets_that_come_at_any_time(void **state)
{
	(void)state;
	nt_samples_add(&samples, 2000000);
	for (int at = 0; at < 10; at++)
		nt_samples_add(&samples, 100000);
	nt_samples_sort(&samples);
	assert_int_equal(nt_samples_stall_quantile(&samples, SECOND, 999), 1000000);
	assert_int_equal(nt_samples_stall_quantile(&samples, SECOND, 998), 90910);
	assert_int_equal(nt_samples_stall_quantile(&samples, SECOND, 990), 0);
	assert_int_equal(nt_samples_stall_quantile(&samples, SECOND, 1000), 2000000);
}

static void a_core_that_was_never_away_makes_nobody_wait(void **state)
{
	(void)state;
	assert_int_equal(nt_samples_stall_quantile(&samples, SECOND, 999), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_samples, close_samples)
	const struct CMUnitTest tests[] = {
		TEST(a_percentile_is_the_sample_of_its_rank),
		TEST(of_few_samples_the_tail_is_the_largest),
		TEST(the_first_ones_are_left_out_and_yet_counted),
		TEST(what_finds_no_room_is_counted_and_harms_nothing),
		TEST(those_above_a_delay_are_counted),
		TEST(stalls_are_told_as_the_wait_of_packets_that_come_at_any_time),
		TEST(a_core_that_was_never_away_makes_nobody_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
