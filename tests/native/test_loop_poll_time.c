/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "loop/poll_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define UTC (1790000000 * SECOND + 123456789)
#define MONOTONIC (77 * SECOND)

/* Each read takes `step_ns`; read number `preempted` takes `preempted_ns` more. */
static int64_t now_ns, step_ns, preempted_ns, tai_offset_ns;
static int reads, preempted;

static int64_t stepping_clock(clockid_t clock)
{
	now_ns += step_ns;
	if (++reads == preempted)
		now_ns += preempted_ns;
	return (clock == CLOCK_MONOTONIC ? MONOTONIC : clock == CLOCK_TAI ? UTC + tai_offset_ns : UTC) + now_ns;
}

static int set_up(void **state)
{
	(void)state;
	now_ns = 0;
	reads = preempted = 0;
	step_ns = 22;
	tai_offset_ns = 37 * SECOND;
	return 0;
}

static void the_time_between_the_two_reads_goes_into_no_stamp(void **state)
{
	struct nt_poll_time now;

	(void)state;
	nt_poll_time_read(&now, stepping_clock);
	assert_int_equal(now.tai_minus_utc_ns, 37 * SECOND);
	assert_int_equal(now.utc_ns, UTC + 22);
	assert_int_equal(nt_poll_time_to_utc(&now, stepping_clock, NT_CLOCK_TAI, UTC + 37 * SECOND - 5), UTC - 5);
	assert_int_equal(nt_poll_time_to_utc(&now, stepping_clock, NT_CLOCK_UTC, UTC - 5), UTC - 5);
	assert_int_equal(reads, 2);
}

static void a_reading_torn_by_preemption_is_repeated(void **state)
{
	struct nt_poll_time now;

	(void)state;
	preempted = 2;
	preempted_ns = 700000000; /* would round to 36 s */
	nt_poll_time_read(&now, stepping_clock);
	assert_int_equal(now.tai_minus_utc_ns, 37 * SECOND);
	assert_int_equal(reads, 4);
}

static void a_host_that_knows_no_leap_seconds_has_no_difference(void **state)
{
	struct nt_poll_time now;

	(void)state;
	tai_offset_ns = 0;
	nt_poll_time_read(&now, stepping_clock);
	assert_int_equal(now.tai_minus_utc_ns, 0);
}

static void monotonic_is_read_only_when_a_stamp_needs_it(void **state)
{
	struct nt_poll_time now;
	int64_t utc_ns;

	(void)state;
	nt_poll_time_read(&now, stepping_clock);
	assert_false(now.monotonic_known);
	utc_ns = nt_poll_time_to_utc(&now, stepping_clock, NT_CLOCK_MONOTONIC, MONOTONIC + 1000);
	assert_int_equal(utc_ns, UTC + 1000);
	assert_int_equal(reads, 5);
	nt_poll_time_to_utc(&now, stepping_clock, NT_CLOCK_MONOTONIC, MONOTONIC + 2000);
	assert_int_equal(reads, 5);
}

static void a_monotonic_reading_torn_by_preemption_is_repeated(void **state)
{
	struct nt_poll_time now;

	(void)state;
	preempted = 2;
	preempted_ns = 5000000;
	nt_poll_time_read_monotonic(&now, stepping_clock);
	assert_int_equal(now.utc_minus_monotonic_ns, UTC - MONOTONIC);
	assert_int_equal(reads, 6);
}

static void this_hosts_clocks_agree(void **state)
{
	struct nt_poll_time now;
	int64_t before_ns = nt_clock_ns(CLOCK_REALTIME), after_ns;

	(void)state;
	nt_poll_time_read(&now, nt_clock_ns);
	after_ns = nt_clock_ns(CLOCK_REALTIME);
	assert_true(now.utc_ns >= before_ns && now.utc_ns <= after_ns);
	assert_int_equal(now.tai_minus_utc_ns % SECOND, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_time_between_the_two_reads_goes_into_no_stamp, set_up),
		cmocka_unit_test_setup(a_reading_torn_by_preemption_is_repeated, set_up),
		cmocka_unit_test_setup(a_host_that_knows_no_leap_seconds_has_no_difference, set_up),
		cmocka_unit_test_setup(monotonic_is_read_only_when_a_stamp_needs_it, set_up),
		cmocka_unit_test_setup(a_monotonic_reading_torn_by_preemption_is_repeated, set_up),
		cmocka_unit_test_setup(this_hosts_clocks_agree, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
