/* SPDX-License-Identifier: Apache-2.0 */
/* The memory source through the real loop into a real ring, with readers that take all they can; and a plain memcpy of the same
 * bytes, out of the same memory into the same memory. */
#ifndef NT_BENCH_RING_RUN_H
#define NT_BENCH_RING_RUN_H

#include "../loop/loop.h"
#include "../ring/reader.h"

#define NT_BENCH_READERS_MAX 16u

struct nt_bench_ring_options {
	struct nt_ring_options ring;
	uint32_t frame_bytes;
	uint32_t readers;
	uint32_t batch;    /* 0: the loop's own */
	uint32_t prefetch; /* packets */
	uint64_t packets;
	int core;        /* of the loop, and then of the memcpy; -1: not pinned */
	int reader_core; /* of the readers, and of the thread that waits; -1: not pinned */
};

struct nt_bench_reader_result {
	uint64_t records;
	uint64_t lost;
	int error; /* the ring held what no writer could have written */
};

struct nt_bench_ring_result {
	double ring_ns;   /* a packet: from the first poll to the last, by the wall clock */
	double memcpy_ns; /* a packet */
	uint64_t newest_seq;
	uint64_t checked; /* of the newest records: header and each byte are as the source made them */
	uint32_t memory_kind;
	uint32_t seccomp; /* 1: the loop would have been killed for a system call */
	struct nt_bench_reader_result readers[NT_BENCH_READERS_MAX];
};

/* Makes the ring, measures, and removes it again. 0 or a negative errno; -EILSEQ: what is in the ring is not what was made. */
int nt_bench_ring_run(const struct nt_bench_ring_options *options, struct nt_bench_ring_result *result, struct nt_fault *fault);

#endif
