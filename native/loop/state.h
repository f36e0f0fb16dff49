/* SPDX-License-Identifier: Apache-2.0 */
/* What the loop's files share. Nobody outside native/loop includes this but its tests. */
#ifndef NT_LOOP_STATE_H
#define NT_LOOP_STATE_H

#include "loop.h"
#include "poll_time.h"

#include <pthread.h>
#include <semaphore.h>

/* What an inlet remembers of each flow. */
struct nt_flow_trace {
	int64_t last_ts_ns;   /* UTC stamp of its newest record; 0: none */
	uint64_t highest_seq; /* in the ring from the writer before us, which borrowed from the same holder; 0: none */
};

/* One source as the loop sees it. */
struct nt_inlet {
	struct nt_source *source;
	struct nt_source_counters *counters; /* its slot in shared memory */
	struct nt_flow_trace *flows;         /* by flow id, NT_RING_FLOWS_MAX + 1 of them */
	uint32_t slot;
	bool may_repeat; /* its first batch may be one that a dead predecessor published but did not release */
	bool ended;      /* will never bring another packet */
	bool drained;    /* nothing waited in it since the loop was asked to stop */
};

struct nt_loop {
	struct nt_writer writer;
	struct nt_ring *ring;
	nt_clock_reader clock;
	struct nt_loop_options options;
	uint32_t inlet_count;
	uint32_t wait_turn; /* whose turn it is to be waited for */
	const struct nt_source *broken;
	int error; /* negative errno of `broken` */
	struct nt_batch batch;
	struct nt_inlet inlets[NT_LOOP_SOURCES_MAX];

	uint64_t stop;  /* set by others: drain and end */
	uint64_t ended; /* set by the loop's thread, last */
	uint64_t helper_stop;
	pthread_t thread, helper;
	bool thread_runs, helper_runs;
	sem_t settled; /* the thread is in its place, or `start_fault` says why not */
	struct nt_fault start_fault;
	void *filter; /* seccomp, until the thread has entered it */
	struct nt_loop_facts facts;
};

/* loop.c: returns when stopped and drained, when every source has ended, or when one broke. No system call when it spins. */
void nt_loop_run(struct nt_loop *loop);

/* handover.c: before the first poll, learns from the ring what the last writer published. `next_seq` is the first sequence of this
 * writer. */
int nt_loop_take_over(struct nt_loop *loop, uint64_t next_seq, uint64_t holder_id, struct nt_fault *fault);

/* books.c: published = raw - base. See `base` in counters.h. */
void nt_books_open(struct nt_source_counters *slot, uint64_t holder_id, const struct nt_source_stats *raw);
void nt_books_publish(struct nt_source_counters *slot, const struct nt_source_stats *raw, int64_t now_utc_ns);

/* helper.c */
void nt_loop_publish_stats(struct nt_loop *loop);
int nt_helper_start(struct nt_loop *loop, struct nt_fault *fault);
void nt_helper_stop(struct nt_loop *loop);

/* placement.c: for the calling thread. Fills facts; only a core that cannot be had is a fault. */
int nt_loop_place(struct nt_loop *loop, struct nt_fault *fault);
/* `list` as in /sys/devices/system/cpu/isolated: "2-5,7". */
bool nt_core_list_has(const char *list, int core);

/* seccomp.c: empty when the loop's thread can be caged, else why not. */
const char *nt_seccomp_obstacle(const struct nt_loop *loop);
/* The filter is made before the thread is caged, so that nothing is allocated in the cage. */
int nt_seccomp_prepare(void **prepared, struct nt_fault *fault);
int nt_seccomp_enter(void *prepared, struct nt_fault *fault);
void nt_seccomp_release(void *prepared);

#endif
