/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#define CYCLE_PACKETS_LEAST 8u
#define CYCLES_PER_SECOND 100u /* so that a burst at 300,000 packets a second is some thousands long: what a buffer must hold */

void nt_schedule_start(struct nt_schedule *schedule, uint64_t seed, uint64_t rate_mhz, uint32_t burst_percent)
{
	*schedule = (struct nt_schedule){
		.random = nt_random_stream(seed, 3),
		.rate_mhz = rate_mhz,
		.burst_percent = burst_percent,
	};
}

static void begin_cycle(struct nt_schedule *schedule)
{
	uint64_t mean = schedule->rate_mhz / (1000 * CYCLES_PER_SECOND);
	uint64_t span_ns, quiet_ns;

	schedule->cycle_first = schedule->next;
	schedule->cycle_end = schedule->next + CYCLE_PACKETS_LEAST + nt_random_below(&schedule->random, (uint32_t)(2 * mean + 8));
	span_ns = nt_schedule_even_ns(schedule, schedule->cycle_end) - nt_schedule_even_ns(schedule, schedule->cycle_first);
	quiet_ns = span_ns - span_ns * 100 / schedule->burst_percent;
	schedule->cycle_lead_ns = (uint64_t)((nt_uint128)quiet_ns * nt_random_below(&schedule->random, 1u << 16) >> 16);
}

uint64_t nt_schedule_next_ns(struct nt_schedule *schedule)
{
	uint64_t base_ns, within_ns;

	if (schedule->burst_percent == 100)
		return nt_schedule_even_ns(schedule, schedule->next++);
	if (schedule->next == schedule->cycle_end)
		begin_cycle(schedule);
	base_ns = nt_schedule_even_ns(schedule, schedule->cycle_first);
	within_ns = nt_schedule_even_ns(schedule, schedule->next++) - base_ns;
	return base_ns + schedule->cycle_lead_ns + within_ns * 100 / schedule->burst_percent;
}
