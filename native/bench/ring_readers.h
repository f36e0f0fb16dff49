/* SPDX-License-Identifier: Apache-2.0 */
/* Readers that take from a ring what they can, each in a thread of its own, all on one core. */
#ifndef NT_BENCH_RING_READERS_H
#define NT_BENCH_RING_READERS_H

#include "ring_run.h"

#include <pthread.h>

struct nt_bench_reader {
	pthread_t thread;
	struct nt_ring ring; /* mapped read-only, as by any other process */
	struct nt_reader reader;
	const uint64_t *stop;
	int core;
	int error;
};

struct nt_bench_readers {
	struct nt_bench_reader each[NT_BENCH_READERS_MAX];
	uint32_t running;
	uint64_t stop; /* set when the writer has ended */
};

/* The calling thread goes to a core; -1: it stays where it is. */
void nt_bench_pin(int core);
/* From the first record on, which is not written yet. 0 or a negative errno; nt_bench_readers_stop is for both. */
int nt_bench_readers_start(struct nt_bench_readers *readers, const struct nt_bench_ring_options *options, struct nt_fault *fault);
/* Lets them read to the end of what the ring holds, and says what they got. */
void nt_bench_readers_stop(struct nt_bench_readers *readers, struct nt_bench_reader_result *results);

#endif
