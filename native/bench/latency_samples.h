/* SPDX-License-Identifier: Apache-2.0 */
/* Every delay of a run, kept one by one, so that no percentile is an estimate. The memory is touched before the run: to add one is a
 * store. */
#ifndef NT_BENCH_LATENCY_SAMPLES_H
#define NT_BENCH_LATENCY_SAMPLES_H

#include "../fault.h"

#include <stddef.h>
#include <stdint.h>

struct nt_samples {
	int64_t *delays_ns;
	uint64_t room;
	uint64_t count;
	uint64_t skip;  /* the next ones that are left out: the warm-up */
	uint64_t added; /* those left out, and those that found no room, included */
};

int nt_samples_open(struct nt_samples *samples, uint64_t room, uint64_t skip, struct nt_fault *fault);
void nt_samples_close(struct nt_samples *samples);

static inline void nt_samples_add(struct nt_samples *samples, int64_t delay_ns)
{
	samples->added++;
	if (__builtin_expect(samples->skip > 0, 0))
		samples->skip--;
	else if (samples->count < samples->room)
		samples->delays_ns[samples->count++] = delay_ns;
}

/* In ascending order, for the next two. */
void nt_samples_sort(struct nt_samples *samples);
/* The smallest delay that at least `per_mille` thousandths of all do not exceed (nearest rank); 1000: the largest, 0: the smallest.
 * Not to be asked without a sample. */
int64_t nt_samples_quantile(const struct nt_samples *samples, uint32_t per_mille);
/* How many exceed `delay_ns`. */
uint64_t nt_samples_above(const struct nt_samples *samples, int64_t delay_ns);
/* Where the samples are stalls of a core that was watched for `watched_ns`: the wait that `per_mille` thousandths of packets do not
 * exceed that come at any time and are taken at once otherwise. 1000: the longest stall. */
int64_t nt_samples_stall_quantile(const struct nt_samples *samples, int64_t watched_ns, uint32_t per_mille);

#endif
