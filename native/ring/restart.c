/* SPDX-License-Identifier: Apache-2.0 */
/* What a writer does with a ring that another one left, perhaps in the middle of a batch. It holds the lock: nothing here changes
 * under its feet, so it reads the ring in place. The letters are those of PROTOCOL.md. */
#include "../atomic.h"
#include "chunk.h"
#include "padding.h"
#include "table.h"

#include <errno.h>

#define WALKS_MAX 8u /* in a damaged ring: each begins farther back than the one before */

struct start {
	uint64_t position;
	uint64_t seq; /* of the first record found from there on; 0: whatever it says */
};

typedef void visit_record(const struct nt_record *record, void *context);

static const struct nt_record *record_at(const struct nt_ring *ring, uint64_t position)
{
	return (const struct nt_record *)(ring->data + (position & (ring->capacity - 1)));
}

/* Bytes of the record or padding at `position`, 0 when no writer could have written it. */
static uint64_t span_at(const struct nt_ring *ring, uint64_t position, uint64_t end)
{
	const struct nt_record *record = record_at(ring, position);
	uint64_t span = nt_record_span(record->length);
	uint64_t to_end = ring->capacity - (position & (ring->capacity - 1));

	if (span < NT_RING_ALIGNMENT || span > to_end || span > end - position)
		return 0;
	if (record->flags & NT_RECORD_PADDING)
		return span == record->length ? span : 0;
	return record->length >= NT_RECORD_HEADER_BYTES && nt_record_plausible(ring, record) ? span : 0;
}

/* Visits what is published from `start` on, and leaves the next sequence there. */
static int walk(const struct nt_ring *ring, struct start *start, uint64_t end, visit_record *visit, void *context)
{
	uint64_t seq = start->seq;

	for (uint64_t position = start->position, span; position != end; position += span) {
		const struct nt_record *record = record_at(ring, position);

		span = span_at(ring, position, end);
		if (!span)
			return -EBADMSG;
		if (record->flags & NT_RECORD_PADDING)
			continue;
		if (seq && record->ring_seq != seq)
			return -EBADMSG;
		seq = record->ring_seq + 1;
		if (visit)
			visit(record, context);
	}
	start->seq = seq;
	return 0;
}

static uint64_t index_entry(const struct nt_ring *ring, uint64_t granule, uint64_t tail)
{
	uint64_t entry = ring->index[granule & (ring->index_entries - 1)];

	if (entry >= tail || entry / ring->granule_bytes != granule || entry % NT_RING_ALIGNMENT)
		return NT_RING_INDEX_EMPTY;
	if (ring->positions->tail_intent - entry > ring->capacity)
		return NT_RING_INDEX_EMPTY;
	return entry;
}

/* Tries the index entries from `granule` on, newer ones (step 1) or older ones (step -1), until a walk from one leads to the
 * tail. */
static int walk_from_index(const struct nt_ring *ring, uint64_t granule, int step, struct start *start)
{
	uint64_t tail = ring->positions->tail;
	uint32_t walks = 0;

	for (uint64_t i = 0; i <= ring->index_entries && walks < WALKS_MAX; i++, granule += (uint64_t)step) {
		*start = (struct start){.position = index_entry(ring, granule, tail)};
		if (start->position == NT_RING_INDEX_EMPTY)
			continue;
		if (!walk(ring, start, tail, NULL, NULL))
			return 0;
		walks++;
	}
	return -EBADMSG;
}

/* Finds a place to begin at that is followed by whole records up to the tail, and the sequence that comes next there: by the index,
 * at or before `latest_start` if it has one; else where the newest epoch began; else at the ring's very beginning. */
static int walk_to_tail(const struct nt_ring *ring, uint64_t latest_start, struct start *start)
{
	uint64_t tail = ring->positions->tail;
	uint64_t intent = ring->positions->tail_intent;
	uint64_t newest = ring->descriptor->epoch;
	const struct nt_ring_epoch *epoch = &ring->epochs[newest % NT_RING_EPOCHS];
	uint64_t granule = latest_start / ring->granule_bytes;
	uint64_t entry = index_entry(ring, granule, tail);

	if (entry != NT_RING_INDEX_EMPTY && entry > latest_start)
		granule--;
	if (!walk_from_index(ring, granule, -1, start))
		return 0;
	if (latest_start < tail && !walk_from_index(ring, granule + 1, 1, start))
		return 0;
	*start = (struct start){.position = epoch->first_position, .seq = epoch->first_seq};
	if (newest && epoch->epoch == newest && start->seq && start->position <= tail &&
	    intent - start->position <= ring->capacity && !walk(ring, start, tail, NULL, NULL))
		return 0;
	*start = (struct start){.seq = 1};
	return intent <= ring->capacity ? walk(ring, start, tail, NULL, NULL) : -EBADMSG;
}

/* Puts back the entries that a dead writer published records for and did not come to store, and those that name something else. */
static void mend_index(struct nt_ring *ring, uint64_t from)
{
	uint64_t tail = ring->positions->tail;
	uint64_t granule = UINT64_MAX;

	for (uint64_t position = from; position != tail; position += nt_record_span(record_at(ring, position)->length)) {
		uint64_t entry;

		if (record_at(ring, position)->flags & NT_RECORD_PADDING || position / ring->granule_bytes == granule)
			continue;
		granule = position / ring->granule_bytes;
		entry = index_entry(ring, granule, tail);
		/* In the granule that the walk began in, an entry may well name an earlier record. */
		if (entry == NT_RING_INDEX_EMPTY || (entry != position && granule != from / ring->granule_bytes))
			nt_store_release(&ring->index[granule & (ring->index_entries - 1)], position); /* G, pairs with H */
	}
}

static int check_positions(const struct nt_ring *ring, struct nt_fault *fault)
{
	uint64_t tail = ring->positions->tail;
	uint64_t intent = ring->positions->tail_intent;

	if (tail % NT_RING_ALIGNMENT || intent % NT_RING_ALIGNMENT || intent - tail > ring->max_batch_bytes)
		return nt_fault_set(
			fault, -EBADMSG,
			"ring %s is damaged: tail is %llu, and tail_intent %llu where at most %llu more is expected; stop its"
			" readers and remove it with `nanotape rings --remove %s`",
			ring->descriptor->name, (unsigned long long)tail, (unsigned long long)intent,
			(unsigned long long)ring->max_batch_bytes, ring->descriptor->name);
	return 0;
}

int nt_ring_restart(struct nt_ring *ring, uint64_t holder_id, uint64_t *next_seq, struct nt_fault *fault)
{
	struct nt_ring_positions *positions = ring->positions;
	struct start start = {.seq = 1};
	int result = check_positions(ring, fault);

	if (result)
		return result;
	if (ring->descriptor->epoch || positions->tail) {
		result = walk_to_tail(ring, positions->tail, &start);
		if (result)
			return nt_fault_set(
				fault, result,
				"ring %s is damaged: no chain of records leads to its tail at %llu; stop its readers and remove"
				" it with `nanotape rings --remove %s`",
				ring->descriptor->name, (unsigned long long)positions->tail, ring->descriptor->name);
		mend_index(ring, start.position);
	}
	if (positions->tail_intent != positions->tail) {
		nt_store_relaxed(&positions->tail_intent, positions->tail_intent); /* A: stands already, by whoever died */
		nt_fence_release();                                                /* B, pairs with E */
		nt_padding_cover(ring, positions->tail, positions->tail_intent);   /* R */
		nt_store_release(&positions->tail, positions->tail_intent);        /* C, pairs with D */
	}
	*next_seq = start.seq;
	nt_ring_epoch_begin(ring, holder_id, start.seq);
	return 0;
}

int nt_ring_walk_recent(struct nt_ring *ring, uint64_t min_bytes, visit_record *visit, void *context)
{
	uint64_t tail = ring->positions->tail;
	uint64_t intent = ring->positions->tail_intent;
	uint64_t oldest = intent > ring->capacity ? intent - ring->capacity : 0;
	uint64_t latest_start = tail - oldest > min_bytes ? tail - min_bytes : oldest;
	struct start start;
	/* Twice, so that `visit` sees nothing of a walk that turns out not to lead to the tail. */
	int result = walk_to_tail(ring, latest_start, &start);

	if (result)
		return result;
	start.seq = 0;
	return walk(ring, &start, tail, visit, context);
}
