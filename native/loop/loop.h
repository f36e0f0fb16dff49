/* SPDX-License-Identifier: Apache-2.0 */
/* The capture loop: polls its sources round-robin, copies each frame once into the ring, publishes, releases. */
#ifndef NT_LOOP_H
#define NT_LOOP_H

#include "../ring/writer.h"
#include "../source/socket.h" /* these two: so that whoever has the loop has something to feed it with */
#include "../source/synthetic.h"
#include "system_calls.h"

#include <stdbool.h>

#define NT_LOOP_SOURCES_MAX NT_RING_SOURCES_MAX

struct nt_loop_options {
	int core;               /* -1: not pinned */
	int realtime;           /* SCHED_FIFO priority, 0: none */
	bool sleep_idle;        /* wait for packets instead of spinning */
	uint32_t seccomp;       /* enum nt_seccomp; without effect with sleep_idle, `socket` and `pcap` sources */
	uint32_t batch;         /* packets of a poll at most, up to NT_BATCH_PACKETS; 0: 64 */
	uint32_t prefetch;      /* packets ahead whose frames are fetched into the cache; 0: none */
	int64_t stamp_bound_ns; /* how far a stamp may lie outside the time in which its packet can have come; 0: a second */
};

/* What became of the options. */
struct nt_loop_facts {
	uint32_t seccomp;          /* enum nt_seccomp that is in force: what a system call of the loop's thread is */
	bool realtime;             /* SCHED_FIFO is on */
	char seccomp_reason[128];  /* why not, where it was asked for; else empty */
	char realtime_reason[128]; /* likewise */
};

/* A round that the loop comes to so much later than to the one before is counted as a gap: longer than it takes to copy a full batch
 * of ordinary frames, and shorter than whatever fills a ring. */
#define NT_LOOP_GAP_NS 10000

struct nt_loop;

/* Takes the sources' slots in the ring, opens their books, counts what a dead predecessor published and could not count, and learns
 * what of the sources' first batches stands in the ring already. The sources stay the caller's, and must live until nt_loop_destroy.
 * `next_seq` and `holder_id` are those of nt_ring_attach_writer. */
int nt_loop_create(struct nt_loop **loop, struct nt_ring *ring, uint64_t next_seq, uint64_t holder_id,
		   struct nt_source *const *sources, uint32_t source_count, const struct nt_loop_options *options,
		   struct nt_fault *fault);

/* For a source of kind NT_SOURCE_PCAP, named by its place in `sources`: one of these two between nt_loop_create and nt_loop_start.
 * begin_file: its file is read from the first packet on, whatever was read before. */
void nt_loop_begin_file(struct nt_loop *loop, uint32_t source_index);
/* file_taken: it is gone on with. Returns how many of the file's packets the source has to skip (nt_pcap_skip), and not to count as
 * offered: all before the predecessor's last batch. What of that batch stands in the ring, the loop leaves out itself. Right only
 * where a predecessor began this very file, which it had if it was ready; in a ring that was made anew it returns 0. */
uint64_t nt_loop_file_taken(struct nt_loop *loop, uint32_t source_index);
/* Starts the loop's thread and its helper. */
int nt_loop_start(struct nt_loop *loop, struct nt_fault *fault);
/* Valid after nt_loop_start. */
const struct nt_loop_facts *nt_loop_facts(const struct nt_loop *loop);
/* Asks the loop to take what waits in its sources (one pass until each has had nothing once, at most a second) and end; joins both
 * threads; final statistics are published. Returns 0, or the negative errno with which a source broke. */
int nt_loop_stop(struct nt_loop *loop);
/* After nt_loop_stop, when the holder is gone: packet sockets live on in our own descriptors and go on receiving what nobody asked for
 * any more. The books of those that were drained end with the last packet taken; what the drain left behind stays a loss. */
void nt_loop_end_intake(struct nt_loop *loop);
/* True once the loop's thread has ended by itself (a source broke, or every source is finite and done). */
bool nt_loop_ended(const struct nt_loop *loop);
/* After nt_loop_stop: the source that broke; NULL: none. */
const struct nt_source *nt_loop_broken(const struct nt_loop *loop);
void nt_loop_destroy(struct nt_loop *loop);

#endif
