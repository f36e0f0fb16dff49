/* SPDX-License-Identifier: Apache-2.0 */
/* Who spins comes round to its sources every few hundred nanoseconds. Where it does not, something else had the core, or a source's
 * own turn took long: counted in the ring, where all may see it. */
#include "state.h"

#include "../atomic.h"
#include "../ticks.h"

#define NT_IMPLAUSIBLE_TICKS (UINT64_C(1) << 62) /* the counter went back: another core's, or a guest that was moved */

void nt_gaps_open(struct nt_loop *loop)
{
	struct nt_ring_descriptor *ring = loop->ring->descriptor;
	bool measures = !loop->options.sleep_idle; /* who sleeps is away as a matter of course */

	if (measures) {
		loop->ticks_per_ns = nt_ticks_per_ns();
		loop->gap_ticks = (uint64_t)(NT_LOOP_GAP_NS * loop->ticks_per_ns);
	}
	nt_store_relaxed(&ring->gap_threshold_ns, measures ? NT_LOOP_GAP_NS : 0);
}

/* On the loop's thread, after the fact: what it costs is nothing to what was measured. */
void nt_gaps_count(struct nt_loop *loop, uint64_t ticks)
{
	struct nt_ring_descriptor *ring = loop->ring->descriptor;
	uint64_t ns = (uint64_t)((double)ticks / loop->ticks_per_ns);
	uint32_t bucket = ns ? 64 - (uint32_t)__builtin_clzll(ns) : 0;

	if (ticks >= NT_IMPLAUSIBLE_TICKS)
		return;
	nt_count(&ring->gap_histogram[bucket < NT_GAP_BUCKETS ? bucket : NT_GAP_BUCKETS - 1], 1);
	nt_count(&ring->gaps_ns, ns);
	if (ns > ring->gap_max_ns)
		nt_store_relaxed(&ring->gap_max_ns, ns);
}
