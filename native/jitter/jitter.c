/* SPDX-License-Identifier: Apache-2.0 */
#include "jitter.h"

#include "../atomic.h"
#include "../ticks.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* All in ticks until it is stopped: the loop divides nothing. */
struct nt_jitter {
	uint64_t stop; /* set by others */
	uint64_t threshold;
	uint64_t kept_most;
	uint64_t *lengths;
	uint64_t looks, gaps, gaps_sum, first, last, longest, shortest;
	uint64_t by_width[64]; /* by the number of bits of a length in ticks */
	double ticks_per_ns;
	pthread_t thread;
	bool runs;
};

static inline uint32_t nt_bits(uint64_t number)
{
	return number ? 64 - (uint32_t)__builtin_clzll(number) : 0;
}

static void *nt_jitter_spin(void *argument)
{
	struct nt_jitter *jitter = argument;
	uint64_t previous = nt_ticks();

	jitter->first = previous;
	while (!nt_load_relaxed(&jitter->stop)) {
		uint64_t now = nt_ticks();
		uint64_t length = now - previous;

		previous = now;
		jitter->looks++;
		jitter->by_width[nt_bits(length) & 63]++;
		if (length < jitter->shortest)
			jitter->shortest = length;
		if (length > jitter->longest)
			jitter->longest = length;
		if (length < jitter->threshold)
			continue;
		if (jitter->gaps < jitter->kept_most)
			jitter->lengths[jitter->gaps] = length;
		jitter->gaps++;
		jitter->gaps_sum += length;
	}
	jitter->last = previous;
	return NULL;
}

static uint64_t nt_jitter_ns(const struct nt_jitter *jitter, uint64_t ticks)
{
	return (uint64_t)((double)ticks / jitter->ticks_per_ns + 0.5);
}

/* On its core from its first instruction on, and with every signal blocked. */
static int nt_jitter_spawn(struct nt_jitter *jitter, int core)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	cpu_set_t cores;
	int error;

	CPU_ZERO(&cores);
	CPU_SET((size_t)core, &cores);
	error = pthread_attr_init(&attributes);
	if (error)
		return -error;
	error = pthread_attr_setaffinity_np(&attributes, sizeof(cores), &cores);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (!error)
		error = pthread_create(&jitter->thread, &attributes, nt_jitter_spin, jitter);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	jitter->runs = !error;
	return -error;
}

int nt_jitter_start(struct nt_jitter **started, int core, uint64_t threshold_ns, uint64_t kept, struct nt_fault *fault)
{
	struct nt_jitter *jitter;
	int error;

	if (core < 0 || core >= CPU_SETSIZE)
		return nt_fault_set(fault, -EINVAL, "core: expected 0 to %d, found %d", CPU_SETSIZE - 1, core);
	jitter = calloc(1, sizeof(*jitter));
	if (!jitter)
		return nt_fault_set(fault, -ENOMEM, "no memory to measure in");
	jitter->kept_most = kept ? kept : 1;
	jitter->lengths = calloc(jitter->kept_most, sizeof(*jitter->lengths));
	if (!jitter->lengths) {
		nt_jitter_destroy(jitter);
		return nt_fault_set(fault, -ENOMEM, "no memory for %llu gaps", (unsigned long long)kept);
	}
	/* Touched, or its page faults would be what is measured. calloc alone does not: its pages are the kernel's one of noughts. */
	memset(jitter->lengths, 0xff, jitter->kept_most * sizeof(*jitter->lengths));
	mlock(jitter->lengths, jitter->kept_most * sizeof(*jitter->lengths));
	jitter->shortest = UINT64_MAX;
	jitter->ticks_per_ns = nt_ticks_per_ns();
	jitter->threshold = (uint64_t)((double)threshold_ns * jitter->ticks_per_ns);
	error = nt_jitter_spawn(jitter, core);
	if (error) {
		nt_jitter_destroy(jitter);
		return nt_fault_set(fault, error,
				    "core %d: expected one that this process may use, found: %s; see taskset -p and nproc", core,
				    strerror(-error));
	}
	*started = jitter;
	return 0;
}

/* A bucket of ticks falls between two of nanoseconds: it goes where its middle lies. */
static void nt_jitter_fill_histogram(const struct nt_jitter *jitter, struct nt_jitter_facts *facts)
{
	for (uint32_t width = 0; width < 64; width++) {
		uint64_t middle = width ? (UINT64_C(3) << (width - 1)) >> 1 : 0;

		facts->histogram[nt_bits(nt_jitter_ns(jitter, middle)) & 63] += jitter->by_width[width];
	}
}

const uint64_t *nt_jitter_stop(struct nt_jitter *jitter, struct nt_jitter_facts *facts)
{
	nt_store_relaxed(&jitter->stop, 1);
	if (jitter->runs)
		pthread_join(jitter->thread, NULL);
	jitter->runs = false;
	memset(facts, 0, sizeof(*facts));
	facts->looks = jitter->looks;
	facts->gaps = jitter->gaps;
	facts->gaps_kept = jitter->gaps < jitter->kept_most ? jitter->gaps : jitter->kept_most;
	facts->spun_ns = nt_jitter_ns(jitter, jitter->last - jitter->first);
	facts->gaps_ns = nt_jitter_ns(jitter, jitter->gaps_sum);
	facts->longest_ns = nt_jitter_ns(jitter, jitter->longest);
	facts->shortest_ns = jitter->looks ? nt_jitter_ns(jitter, jitter->shortest) : 0;
	nt_jitter_fill_histogram(jitter, facts);
	for (uint64_t at = 0; at < facts->gaps_kept; at++)
		jitter->lengths[at] = nt_jitter_ns(jitter, jitter->lengths[at]);
	return jitter->lengths;
}

void nt_jitter_destroy(struct nt_jitter *jitter)
{
	struct nt_jitter_facts unused;

	if (!jitter)
		return;
	if (jitter->runs)
		nt_jitter_stop(jitter, &unused);
	free(jitter->lengths);
	free(jitter);
}
