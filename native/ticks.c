/* SPDX-License-Identifier: Apache-2.0 */
#include "ticks.h"

#define NT_CALIBRATION_NS 5000000

/* Both clocks at one moment: the reading of the ticks lies between two of the clock, and the closest pair of several is taken, since
 * whoever interrupts between them would go into the rate. */
static int64_t nt_ticks_at(uint64_t *ticks)
{
	int64_t best_ns = 0, closest_ns = INT64_MAX;

	for (int tries = 0; tries < 16; tries++) {
		int64_t before_ns = nt_clock_ns(CLOCK_MONOTONIC);
		uint64_t now = nt_ticks();
		int64_t apart_ns = nt_clock_ns(CLOCK_MONOTONIC) - before_ns;

		if (apart_ns >= closest_ns)
			continue;
		closest_ns = apart_ns;
		best_ns = before_ns + apart_ns / 2;
		*ticks = now;
	}
	return best_ns;
}

double nt_ticks_per_ns(void)
{
	uint64_t first = 0, last = 0;
	int64_t begun_ns, ended_ns;

	if (!NT_TICKS_ARE_TSC)
		return 1.0;
	begun_ns = nt_ticks_at(&first);
	while (nt_clock_ns(CLOCK_MONOTONIC) - begun_ns < NT_CALIBRATION_NS)
		continue;
	ended_ns = nt_ticks_at(&last);
	return (double)(last - first) / (double)(ended_ns - begun_ns);
}
