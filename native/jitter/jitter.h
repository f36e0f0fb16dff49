/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that spins on one core and looks at nothing but the clock: wherever two looks are far apart, something else had the core.
 * Needs no privilege. It goes on spinning until it is stopped, so that the core keeps its frequency. */
#ifndef NT_JITTER_H
#define NT_JITTER_H

#include "../fault.h"

#include <stdint.h>

#define NT_JITTER_BUCKETS 64u /* bucket 0: below 1 ns; bucket b: 2^(b-1) to 2^b - 1 ns */

struct nt_jitter_facts {
	uint64_t looks;                        /* at the clock */
	uint64_t gaps;                         /* of at least the threshold */
	uint64_t gaps_kept;                    /* of these, those whose length was noted: the first ones */
	uint64_t spun_ns;                      /* from the first look to the last */
	uint64_t gaps_ns;                      /* all gaps together */
	uint64_t longest_ns;                   /* of all looks */
	uint64_t shortest_ns;                  /* likewise: what one look costs */
	uint64_t histogram[NT_JITTER_BUCKETS]; /* of all looks */
};

struct nt_jitter;

/* Begins to spin on `core`; notes the lengths of up to `kept` gaps of at least `threshold_ns`. */
int nt_jitter_start(struct nt_jitter **jitter, int core, uint64_t threshold_ns, uint64_t kept, struct nt_fault *fault);
/* Ends it, and fills in what was seen; once. Lengths in ns, `gaps_kept` of them, are valid until nt_jitter_destroy. */
const uint64_t *nt_jitter_stop(struct nt_jitter *jitter, struct nt_jitter_facts *facts);
void nt_jitter_destroy(struct nt_jitter *jitter);

#endif
