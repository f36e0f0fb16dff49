/* SPDX-License-Identifier: Apache-2.0 */
/* The one writer: reserve a batch, copy records in, publish. See PROTOCOL.md for the letters. */
#ifndef NT_RING_WRITER_H
#define NT_RING_WRITER_H

#include "ring.h"

struct nt_writer {
	struct nt_ring *ring;
	uint64_t tail; /* own copy of the published position */
	uint64_t next_seq;
	uint64_t cursor;      /* next free byte of the reserved batch */
	uint64_t reserved_to; /* tail_intent of the reserved batch */
	uint64_t granule;     /* the newest granule that has, or in this batch will get, its index entry; UINT64_MAX: none */
	uint64_t entries[2];  /* index entries that this batch brings: it touches two granules at most */
	uint32_t entry_count;
};

void nt_writer_init(struct nt_writer *writer, struct nt_ring *ring, uint64_t next_seq);

/* Plans a batch from the lengths of its records (header and frame). Returns how many of them, from the first, fit into one batch
 * (padding at the end of the buffer included) and announces their bytes; the caller writes exactly these, in order. A record larger
 * than max_record_bytes must have been left out before. */
uint32_t nt_writer_reserve(struct nt_writer *writer, const uint32_t *lengths, uint32_t count);

/* Place for the next record of the batch, after any padding. The caller fills everything but length and ring_seq, which are
 * set here, and the frame behind it. */
struct nt_record *nt_writer_next(struct nt_writer *writer, uint32_t length);

/* Makes the batch visible, then enters it into the index. */
void nt_writer_publish(struct nt_writer *writer);

#endif
