/* SPDX-License-Identifier: Apache-2.0 */
#include "poll_time.h"

#include "../clock.h"

#define NT_SECOND_NS 1000000000
#define NT_TORN_NS 1000000 /* two neighbouring reads further apart than this were torn by preemption, or by a step of the clock */
#define NT_READ_TRIES 4

static int64_t nt_round_to_seconds(int64_t ns)
{
	int64_t half = ns < 0 ? -NT_SECOND_NS / 2 : NT_SECOND_NS / 2;

	return (ns + half) / NT_SECOND_NS * NT_SECOND_NS;
}

/* The kernel's TAI is its REALTIME plus whole seconds. So the difference of two reads is rounded to what it must be, or else the
 * time between the reads would go into every stamp of the batch. */
void nt_poll_time_read(struct nt_poll_time *now, nt_clock_reader clock)
{
	int64_t tai_ns, apart_ns;

	for (int tries = 0; tries < NT_READ_TRIES; tries++) {
		int64_t difference;

		tai_ns = clock(CLOCK_TAI);
		difference = tai_ns - clock(CLOCK_REALTIME);
		now->tai_minus_utc_ns = nt_round_to_seconds(difference);
		apart_ns = now->tai_minus_utc_ns - difference;
		if (apart_ns >= 0 && apart_ns < NT_TORN_NS)
			break;
	}
	now->utc_ns = tai_ns - now->tai_minus_utc_ns;
	now->monotonic_known = false;
}

void nt_poll_time_read_monotonic(struct nt_poll_time *now, nt_clock_reader clock)
{
	for (int tries = 0; tries < NT_READ_TRIES; tries++) {
		int64_t before_ns = clock(CLOCK_REALTIME);
		int64_t monotonic_ns = clock(CLOCK_MONOTONIC);
		int64_t apart_ns = clock(CLOCK_REALTIME) - before_ns;

		now->utc_minus_monotonic_ns = before_ns + apart_ns / 2 - monotonic_ns;
		if (apart_ns >= 0 && apart_ns < NT_TORN_NS)
			break;
	}
	now->monotonic_known = true;
}
