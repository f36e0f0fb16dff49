/* SPDX-License-Identifier: Apache-2.0 */
/* A reader's validated private copies: all that it ever believes of the ring's data. Not for callers. */
#ifndef NT_RING_CHUNK_H
#define NT_RING_CHUNK_H

#include "reader.h"

/* The record at reader->position, which moves over padding but not over the record. Returns 1, or 0 when nothing more is published,
 * -ESTALE when the writer overtook the position, -EBADMSG when the ring holds what no writer could have written. */
int nt_chunk_peek(struct nt_reader *reader, const struct nt_record **record);

/* The header of the sequenced record at a position that the index names. 0, or -ESTALE, -EBADMSG as above. */
int nt_chunk_probe(const struct nt_reader *reader, uint64_t position, struct nt_record *header);

/* True when bytes at `position` may have been overwritten since they were copied. Fences: call it after the copy. */
bool nt_chunk_overtaken(const struct nt_reader *reader, uint64_t position);

/* Whether a whole sequenced record may look like this, by its own fields. */
bool nt_record_plausible(const struct nt_ring *ring, const struct nt_record *record);

#ifdef NT_TEST_HOOKS
/* Called between the copy of a chunk and its check, where a test lets the writer overtake. */
extern void (*nt_chunk_test_hook)(const struct nt_reader *reader);
#endif

#endif
