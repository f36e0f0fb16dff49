/* SPDX-License-Identifier: Apache-2.0 */
/* No receiver at all: a core that does nothing but look at the clock, while the sender sends. Whenever two looks lie apart, the timer,
 * an interrupt or the hypervisor had the core; a packet that comes meanwhile waits, whoever receives it. */
#include "latency.h"

#include "../clock.h"

#define NT_STALL_NS 200 /* two looks in a row take a tenth of it */

int nt_latency_stalls(struct nt_latency *run, struct nt_fault *fault)
{
	int error = nt_latency_pin(run->plan.header->core, fault);
	int64_t before_ns, now_ns;

	if (error)
		return error;
	nt_latency_sender_go(run);
	now_ns = nt_clock_ns(CLOCK_TAI);
	while (!nt_latency_sender_is_done(run)) {
		before_ns = now_ns;
		now_ns = nt_clock_ns(CLOCK_TAI);
		if (now_ns - before_ns > NT_STALL_NS)
			nt_samples_add(&run->samples, now_ns - before_ns);
	}
	return 0;
}
