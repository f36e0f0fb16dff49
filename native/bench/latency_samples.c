/* SPDX-License-Identifier: Apache-2.0 */
#include "latency_samples.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int nt_samples_open(struct nt_samples *samples, uint64_t room, uint64_t skip, struct nt_fault *fault)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
	void *memory = mmap(NULL, room * sizeof(int64_t), PROT_READ | PROT_WRITE, flags, -1, 0);

	if (memory == MAP_FAILED)
		return nt_fault_set(fault, -errno, "no memory for %llu samples: %s", (unsigned long long)room, strerror(errno));
	*samples = (struct nt_samples){.delays_ns = memory, .room = room, .skip = skip};
	return 0;
}

void nt_samples_close(struct nt_samples *samples)
{
	if (samples->delays_ns)
		munmap(samples->delays_ns, samples->room * sizeof(int64_t));
	samples->delays_ns = NULL;
}

static int compare(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return (a > b) - (a < b);
}

void nt_samples_sort(struct nt_samples *samples)
{
	qsort(samples->delays_ns, samples->count, sizeof(int64_t), compare);
}

int64_t nt_samples_quantile(const struct nt_samples *samples, uint32_t per_mille)
{
	uint64_t rank = (samples->count * per_mille + 999) / 1000;

	return samples->delays_ns[rank ? rank - 1 : 0];
}

uint64_t nt_samples_above(const struct nt_samples *samples, int64_t delay_ns)
{
	uint64_t below = 0, end = samples->count; /* the border lies between them */

	while (below < end) {
		uint64_t middle = below + (end - below) / 2;

		if (samples->delays_ns[middle] > delay_ns)
			end = middle;
		else
			below = middle + 1;
	}
	return samples->count - below;
}

int64_t nt_samples_stall_quantile(const struct nt_samples *samples, int64_t watched_ns, uint32_t per_mille)
{
	int64_t allowed_ns = watched_ns / 1000 * (1000 - per_mille); /* of all time, that in which a packet would wait for longer */
	int64_t late_ns = 0, wait_ns;
	uint64_t longer = 0; /* stalls longer than `wait_ns` */

	if (!samples->count)
		return 0;
	/* From the longest on: each step down to the next shorter stall adds its length for every longer one. */
	wait_ns = samples->delays_ns[samples->count - 1];
	while (wait_ns > 0) {
		int64_t next_ns;

		while (longer < samples->count && samples->delays_ns[samples->count - 1 - longer] >= wait_ns)
			longer++;
		next_ns = longer < samples->count ? samples->delays_ns[samples->count - 1 - longer] : 0;
		if (late_ns + (wait_ns - next_ns) * (int64_t)longer > allowed_ns)
			return wait_ns - (allowed_ns - late_ns) / (int64_t)longer;
		late_ns += (wait_ns - next_ns) * (int64_t)longer;
		wait_ns = next_ns;
	}
	return 0;
}
