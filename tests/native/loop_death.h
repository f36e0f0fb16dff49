/* SPDX-License-Identifier: Apache-2.0 */
/* Death of the loop between any two stores of its last batch: the batch runs whole, and what the dead would not have come to is taken
 * back. */
#ifndef NT_TEST_LOOP_DEATH_H
#define NT_TEST_LOOP_DEATH_H

#include "loop/state.h"

#include <stddef.h>

#define SLOT_WORD(field) (offsetof(struct nt_source_counters, field) / sizeof(uint64_t))
#define TAIL SIZE_MAX

/* In the loop's order. After the last of these nothing is mended, and the batch is released. */
static const size_t batch_stores[] = {
	SLOT_WORD(batch_packets), SLOT_WORD(batch_oversize), SLOT_WORD(batch_unselected), SLOT_WORD(batch_position), TAIL,
	SLOT_WORD(loop.packets),  SLOT_WORD(loop.oversize),  SLOT_WORD(loop.unselected),  SLOT_WORD(loop.bytes),
};

#define BATCH_STORES (sizeof(batch_stores) / sizeof(batch_stores[0]))
#define STORES_TO_PUBLISH 5 /* so many, and the batch is in the ring */
#define STORES_TO_COUNT 6   /* so many, and its packets are counted, but not their bytes */

struct before_batch {
	struct nt_source_counters slot;
	uint64_t tail;
};

static inline void look_before_batch(struct before_batch *before, const struct nt_ring *ring, uint32_t slot)
{
	before->slot = ring->sources[slot];
	before->tail = ring->positions->tail;
}

/* Leaves the first `stores` of them. */
static inline void die_after(const struct before_batch *before, struct nt_ring *ring, uint32_t slot, size_t stores)
{
	for (size_t at = stores; at < BATCH_STORES; at++) {
		if (batch_stores[at] == TAIL)
			ring->positions->tail = before->tail; /* tail_intent stays: it died in the payload */
		else
			((uint64_t *)&ring->sources[slot])[batch_stores[at]] = ((const uint64_t *)&before->slot)[batch_stores[at]];
	}
}

#endif
