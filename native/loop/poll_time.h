/* SPDX-License-Identifier: Apache-2.0 */
/* When a batch was polled, in every clock that a stamp may be in. Read once a busy batch, without a system call. */
#ifndef NT_POLL_TIME_H
#define NT_POLL_TIME_H

#include "../ring/layout.h"

#include <stdbool.h>
#include <time.h>

typedef int64_t (*nt_clock_reader)(clockid_t clock); /* nt_clock_ns, or a test's */

struct nt_poll_time {
	int64_t utc_ns;
	int64_t tai_minus_utc_ns;       /* whole seconds */
	int64_t utc_minus_monotonic_ns; /* valid when monotonic_known */
	bool monotonic_known;
};

void nt_poll_time_read(struct nt_poll_time *now, nt_clock_reader clock);
/* The part that only monotonic stamps need. */
void nt_poll_time_read_monotonic(struct nt_poll_time *now, nt_clock_reader clock);

/* Wraps: a stamp may be any 64 bits. */
static inline int64_t nt_ns_minus(int64_t ns, int64_t less_ns)
{
	return (int64_t)((uint64_t)ns - (uint64_t)less_ns);
}

/* `domain` must be one that UTC can be made of. */
static inline int64_t nt_poll_time_to_utc(struct nt_poll_time *now, nt_clock_reader clock, enum nt_clock_domain domain,
					  int64_t stamp_ns)
{
	switch (domain) {
	case NT_CLOCK_TAI:
		return nt_ns_minus(stamp_ns, now->tai_minus_utc_ns);
	case NT_CLOCK_MONOTONIC:
		if (!now->monotonic_known)
			nt_poll_time_read_monotonic(now, clock);
		return nt_ns_minus(stamp_ns, -now->utc_minus_monotonic_ns);
	default:
		return stamp_ns;
	}
}

/* Poll time minus stamp, as the record carries it. */
static inline int32_t nt_rx_delay_saturate(int64_t delay_ns)
{
	if (delay_ns > NT_RX_DELAY_MAX)
		return NT_RX_DELAY_MAX;
	return delay_ns < NT_RX_DELAY_MIN ? NT_RX_DELAY_MIN : (int32_t)delay_ns;
}

#endif
