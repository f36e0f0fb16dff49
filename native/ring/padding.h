/* SPDX-License-Identifier: Apache-2.0 */
/* Padding records: bytes that the writer announced and carries no packet in. Not for callers. */
#ifndef NT_RING_PADDING_H
#define NT_RING_PADDING_H

#include "ring.h"

/* One padding record; it must end at or before the end of the buffer. Only length and flags: there may be no room for more. */
static inline void nt_padding_put(struct nt_ring *ring, uint64_t position, uint64_t bytes)
{
	struct nt_record *record = (struct nt_record *)(ring->data + (position & (ring->capacity - 1)));

	record->length = (uint32_t)bytes;
	record->flags = NT_RECORD_PADDING;
}

/* Padding for [from, to), in two records where the end of the buffer lies between. */
static inline void nt_padding_cover(struct nt_ring *ring, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t to_end = ring->capacity - (from & (ring->capacity - 1));
		uint64_t bytes = to - from < to_end ? to - from : to_end;

		nt_padding_put(ring, from, bytes);
		from += bytes;
	}
}

#endif
