/* SPDX-License-Identifier: Apache-2.0 */
/* What the loop's files share. Nobody outside native/loop includes this but its tests. */
#ifndef NT_LOOP_STATE_H
#define NT_LOOP_STATE_H

#include "loop.h"
#include "poll_time.h"

#include <pthread.h>
#include <semaphore.h>

#define NT_FLOW_IDS (NT_RING_FLOWS_MAX + 1) /* NT_FLOW_OTHER included */

/* One source as the loop sees it. */
struct nt_inlet {
	struct nt_source *source;
	struct nt_source_counters *counters; /* its slot in shared memory */
	int64_t *last_ts_ns;                 /* by flow id, NT_FLOW_IDS of them: stamp of its newest record; 0: none */
	uint64_t standing;                   /* the next packets that it hands out and that fit stand in the ring already */
	int64_t empty_ns;                    /* UTC: it was seen empty then or later; 0: never yet */
	uint32_t slot;
	uint32_t stamps; /* for the helper: stamp_kind of the newest packet and its clock << 8, as in its slot; 0: none */
	bool ended;      /* will never bring another packet */
	bool drained;    /* nothing waited in it since the loop was asked to stop */
};

/* What one batch adds to the counters. */
struct nt_batch_sums {
	uint64_t packets, bytes, unstamped, backwards, other, unparsed, bad_stamps;
	int64_t last_packet_ns;
	uint64_t oversize, unselected, repeated, delay_max_ns; /* these do not show in the ring */
};

struct nt_loop {
	struct nt_writer writer;
	struct nt_ring *ring;
	nt_clock_reader clock;
	struct nt_loop_options options;
	uint32_t inlet_count;
	uint32_t wait_turn;    /* whose turn it is to be waited for */
	uint32_t newest_batch; /* packets of the newest poll that brought some; 0: we slept since */
	const struct nt_source *broken;
	int error; /* negative errno of `broken` */
	struct nt_batch batch;
	struct nt_inlet inlets[NT_LOOP_SOURCES_MAX];
	uint64_t flow_seqs[NT_FLOW_IDS]; /* of the newest packet, for sources that bring none */

	uint64_t round_ticks; /* when the newest round began */
	uint64_t gap_ticks;   /* a round that begins so much later is a gap; UINT64_MAX: nobody measures */
	double ticks_per_ns;
	int64_t seen_ns; /* UTC, of the newest poll or of the helper's last turn: it was this late already */
	uint64_t stop;   /* set by others: drain and end */
	uint64_t ended;  /* set by the loop's thread, last */
	uint64_t helper_stop;
	pthread_t thread, helper;
	bool thread_runs, helper_runs;
	sem_t settled; /* the thread is in its place, or `start_fault` says why not */
	struct nt_fault start_fault;
	int listener; /* where the kernel asks about system calls of the loop's thread, which sets it; -1: it asks nowhere */
	struct nt_loop_facts facts;
};

/* Counts one record: as it is put into the ring, or as it is found there after a death. */
static inline void nt_sums_add(struct nt_batch_sums *sums, const struct nt_record *record)
{
	sums->packets++;
	sums->bytes += record->capture_length;
	sums->unstamped += (record->flags & NT_RECORD_UNSTAMPED) != 0;
	sums->backwards += (record->flags & NT_RECORD_BACKWARDS) != 0;
	sums->unparsed += (record->flags & NT_RECORD_UNPARSED) != 0;
	sums->bad_stamps += (record->flags & NT_RECORD_BAD_STAMP) != 0;
	sums->other += record->flow_id == NT_FLOW_OTHER;
	sums->last_packet_ns = record->ts_ns;
}

/* gaps.c: how long the loop was away from its sources. Before its thread starts. */
void nt_gaps_open(struct nt_loop *loop);
void nt_gaps_count(struct nt_loop *loop, uint64_t ticks);

/* loop.c: returns when stopped and drained, when every source has ended, or when one broke. No system call when it spins. */
void nt_loop_run(struct nt_loop *loop);
/* The sums of one batch go into shared memory at once. */
void nt_loop_account(struct nt_loop_counters *total, const struct nt_batch_sums *sums);

/* handover.c: before the first poll, and before the books are opened, learns from the ring what the last writer did. `next_seq` is the
 * first sequence of this writer. */
int nt_loop_take_over(struct nt_loop *loop, uint64_t next_seq, uint64_t holder_id, struct nt_fault *fault);
/* Before a batch is published. */
void nt_inlet_note(struct nt_inlet *inlet);

/* books.c: published = raw - base. See `base` in counters.h. */
void nt_books_open(struct nt_source_counters *slot, uint64_t holder_id, const struct nt_source_stats *raw);
void nt_books_end_intake(struct nt_source_counters *slot);
void nt_books_publish(struct nt_source_counters *slot, const struct nt_source_stats *raw, int64_t now_utc_ns);
/* `offered` goes on from this figure: what this process reads is added to it. */
void nt_books_go_on(struct nt_source_counters *slot, uint64_t offered);

/* What became of the packets that a source handed out, in all its time. */
static inline uint64_t nt_counters_taken(const struct nt_loop_counters *total)
{
	return total->packets + total->oversize + total->unselected;
}

/* stamp.c: writes into the slot. Not for the loop's thread. */
void nt_stamps_tell(const struct nt_inlet *inlet, nt_clock_reader clock);

/* helper.c */
void nt_loop_publish_stats(struct nt_loop *loop);
int nt_helper_start(struct nt_loop *loop, struct nt_fault *fault);
void nt_helper_stop(struct nt_loop *loop);

/* placement.c: for the calling thread. Fills facts; only a core that cannot be had is a fault. */
int nt_loop_place(struct nt_loop *loop, struct nt_fault *fault);
/* Off the loop's core, where there is another: the helper would take it from the loop a hundred times a second. */
void nt_helper_place(const struct nt_loop *loop);
/* `list` as in /sys/devices/system/cpu/isolated: "2-5,7". */
bool nt_core_list_has(const char *list, int core);

/* seccomp.c: why this loop makes system calls as a matter of course; empty: it should make none. */
const char *nt_seccomp_needless(const struct nt_loop *loop);
/* Empty when the loop's thread can be put under the filter, else why not: that, or something about this host. */
const char *nt_seccomp_obstacle(const struct nt_loop *loop);
/* For the calling thread, for good. With NT_SECCOMP_COUNT each call waits for an answer at `*listener`: somebody must give it
 * (nt_system_calls_answer), or close the listener, which fails the call. A fault says why there is no filter now. */
int nt_seccomp_enter(uint32_t mode, int *listener, struct nt_fault *fault);

#endif
