/* SPDX-License-Identifier: Apache-2.0 */
/* The cheapest clock of the processor, to tell how long ago something was. Not for stamps: it is nobody's time. */
#ifndef NT_TICKS_H
#define NT_TICKS_H

#include "clock.h"

#if defined(__x86_64__)
#define NT_TICKS_ARE_TSC 1
static inline uint64_t nt_ticks(void)
{
	return __builtin_ia32_rdtsc();
}
#else
#define NT_TICKS_ARE_TSC 0
static inline uint64_t nt_ticks(void)
{
	return (uint64_t)nt_clock_ns(CLOCK_MONOTONIC);
}
#endif

/* How many are a nanosecond: measured against CLOCK_MONOTONIC for some milliseconds, in which it spins. */
double nt_ticks_per_ns(void);

#endif
