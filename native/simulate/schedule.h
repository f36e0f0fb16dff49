/* SPDX-License-Identifier: Apache-2.0 */
/* When each data packet is due, in ns after the first: from the packet's number, the rate and the seed, never from a clock.
 *
 * Packets come in cycles. A cycle lasts as long as its packets would take when evenly spaced; within it they are sent `burst` times
 * as fast, after a seeded part of the quiet that remains. So the average holds at the end of every cycle.
 *
 *   even    |  .  .  .  .  |  .  .  .  .  .  .  |
 *   burst 4 |     ....     |......              |   */
#ifndef NT_SIMULATE_SCHEDULE_H
#define NT_SIMULATE_SCHEDULE_H

#include "random.h"

__extension__ typedef unsigned __int128 nt_uint128; /* a product of two 64-bit numbers, before its division */

struct nt_schedule {
	struct nt_random random;
	uint64_t rate_mhz;      /* packets in 1,000 s */
	uint32_t burst_percent; /* 100: even */
	uint32_t reserved;
	uint64_t next; /* index of the next data packet, from 0 */
	uint64_t cycle_first;
	uint64_t cycle_end;
	uint64_t cycle_lead_ns;
};

static inline uint64_t nt_schedule_even_ns(const struct nt_schedule *schedule, uint64_t index)
{
	return (uint64_t)((nt_uint128)index * 1000000000000ull / schedule->rate_mhz);
}

void nt_schedule_start(struct nt_schedule *schedule, uint64_t seed, uint64_t rate_mhz, uint32_t burst_percent);
/* Due time of the next data packet; never less than the one before. */
uint64_t nt_schedule_next_ns(struct nt_schedule *schedule);

#endif
