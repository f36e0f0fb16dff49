/* SPDX-License-Identifier: Apache-2.0 */
/* Create, attach to and inspect a ring: the files of layout.h, mapped. The writer's and the reader's protocols are in writer.h and
 * reader.h. */
#ifndef NT_RING_H
#define NT_RING_H

#include "../fault.h"
#include "layout.h"

#include <stdbool.h>
#include <sys/types.h>

enum nt_hugepages { NT_HUGEPAGES_OFF = 0, NT_HUGEPAGES_PREFER = 1, NT_HUGEPAGES_REQUIRE = 2 };

/* A mapped ring. Readers map everything read-only. */
struct nt_ring {
	struct nt_ring_descriptor *descriptor;
	struct nt_ring_positions *positions;
	struct nt_ring_epoch *epochs;
	struct nt_flow *flows;
	uint64_t *index; /* NT_RING_INDEX_EMPTY, or position of the first record that starts in the granule */
	struct nt_source_counters *sources;
	uint8_t *data;
	uint64_t capacity; /* checked copies: never re-read from shared memory */
	uint64_t granule_bytes;
	uint64_t index_entries;
	uint64_t max_record_bytes;
	uint64_t max_batch_bytes;
	uint32_t granule_log2;
	size_t descriptor_bytes;
	size_t data_bytes;
	int lock_fd;         /* writer: held for life; -1 for a reader */
	bool private_memory; /* on the heap: nt_ring_make_private */
};

struct nt_ring_options {
	char name[64];
	char shm_directory[256];      /* descriptor NAME.ring, lock NAME.lock, and data NAME.data of the fallback */
	char hugepage_directory[256]; /* a directory on hugetlbfs for NAME.data; empty: look in /proc/mounts */
	uint64_t capacity;            /* bytes; rounded up to a power of two and to the page size */
	uint32_t hugepages;           /* enum nt_hugepages */
	uint32_t page_bytes_log2;     /* 21 or 30; 0: whichever hugetlbfs is there, 2 MiB first */
	uint32_t group;               /* gid of the readers; UINT32_MAX: leave as is */
	uint32_t lock_memory;         /* 1: try mlock; failing is not fatal */
};

/* Creates the ring, or attaches to an existing one of the same shape (another shape, layout version or a live writer is refused),
 * takes the writer's lock, repairs what a dead writer left (PROTOCOL.md, restart) and begins the next epoch. */
int nt_ring_attach_writer(struct nt_ring *ring, const struct nt_ring_options *options, uint64_t holder_id, uint64_t *next_seq,
			  struct nt_fault *fault);

/* Maps an existing ring read-only. */
int nt_ring_open(struct nt_ring *ring, const char *descriptor_path, struct nt_fault *fault);

void nt_ring_close(struct nt_ring *ring);

/* Removes the files of a ring without a live writer. */
int nt_ring_remove(const char *shm_directory, const char *name, struct nt_fault *fault);

/* In-process ring on the heap for tests and the model: same structures, no files. */
int nt_ring_make_private(struct nt_ring *ring, uint64_t capacity, struct nt_fault *fault);

/* What attaching does after the lock is held: covers what a dead writer left half-written, finds the next sequence, mends the
 * index, begins the next epoch. For a private ring it stands for the restart of a process. */
int nt_ring_restart(struct nt_ring *ring, uint64_t holder_id, uint64_t *next_seq, struct nt_fault *fault);

/* Writer only, between two batches: visits, in order, the published records of about the last `min_bytes` (whole granules: at
 * least that much where the ring still holds it), of whatever epoch. For the hand-over: what was published and not counted, and
 * each flow's newest stamp. Returns 0, or -EBADMSG when the ring holds what no writer could have written. */
int nt_ring_walk_recent(struct nt_ring *ring, uint64_t min_bytes, void (*visit)(const struct nt_record *record, void *context),
			void *context);

/* The epoch that record `ring_seq` belongs to; 0 when the history no longer holds it. */
uint64_t nt_ring_epoch_of(const struct nt_ring *ring, uint64_t ring_seq);

/* A consistent copy of one epoch's entry, or -ENOENT when the history no longer holds it. */
int nt_ring_epoch_read(const struct nt_ring *ring, uint64_t epoch, struct nt_ring_epoch *entry);

/* For any process: what the writer has published, loaded in the right order. */
uint64_t nt_ring_tail(const struct nt_ring *ring);
uint64_t nt_ring_tail_intent(const struct nt_ring *ring);
uint64_t nt_ring_epoch(const struct nt_ring *ring);        /* the newest; entries 1 to this one, the last NT_RING_EPOCHS kept */
uint64_t nt_ring_flow_count(const struct nt_ring *ring);   /* entries of `flows` that are complete */
uint64_t nt_ring_source_count(const struct nt_ring *ring); /* entries of `sources` that are named */
uint32_t nt_ring_writer_pid(const struct nt_ring *ring);   /* 0 after a clean detach; may name a process that died */
/* Word-wise copy of one source's counters, the loop's before those upstream of it: no counter is torn, but the set is not one
 * instant. -ENOENT beyond the count. */
int nt_ring_source_read(const struct nt_ring *ring, uint32_t slot, struct nt_source_counters *copy);

/* Writer: the id of `flow` in the ring's table, appended if it is new. A flow that differs in any name is another flow. Its own `id`
 * is where it is looked for first. */
int nt_ring_flow_id(struct nt_ring *ring, const struct nt_flow *flow, uint32_t *id, struct nt_fault *fault);

/* Writer: index of the source's slot, appended if it is new. */
int nt_ring_source_slot(struct nt_ring *ring, const char *name, const char *interface, uint32_t kind, uint32_t queue,
			uint32_t *slot, struct nt_fault *fault);

#endif
