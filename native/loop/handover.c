/* SPDX-License-Identifier: Apache-2.0 */
/* A predecessor may have died between any two steps of poll -> note -> publish -> count -> release. What it published and did not
 * count is counted here. What it published and did not release is in the batch of its last note, and that batch is what the source
 * hands us first: PROTOCOL.md, hand-over. */
#include "state.h"

#include "../atomic.h"

#include <string.h>

/* The largest batch, wherever its records ended up. */
static uint64_t nt_handover_bytes(const struct nt_ring *ring)
{
	return NT_BATCH_PACKETS * nt_record_span((uint32_t)ring->max_record_bytes);
}

/* Records that no slot has counted: the predecessor was killed right after it published them. */
static uint64_t nt_handover_uncounted(const struct nt_ring *ring, uint64_t next_seq)
{
	uint64_t counted = 0;

	for (uint64_t slot = 0; slot < nt_ring_source_count(ring); slot++)
		counted += nt_load_relaxed(&ring->sources[slot].loop.packets);
	if (counted >= next_seq - 1 || next_seq - 1 - counted > NT_BATCH_PACKETS)
		return 0; /* not to be explained by one batch: left for the audit to see */
	return next_seq - 1 - counted;
}

struct nt_handover {
	struct nt_loop *loop;
	uint64_t count_from_seq;
	struct nt_batch_sums uncounted;
	uint32_t newest_slot; /* the uncounted are of one batch: all of this slot */
};

static void nt_handover_visit(const struct nt_record *record, void *context)
{
	struct nt_handover *handover = context;

	if (record->flags & NT_RECORD_PADDING || record->source >= NT_RING_SOURCES_MAX || record->flow_id > NT_RING_FLOWS_MAX)
		return;
	handover->newest_slot = record->source;
	if (record->ring_seq >= handover->count_from_seq)
		nt_sums_add(&handover->uncounted, record);
	if (record->flags & (NT_RECORD_UNSTAMPED | NT_RECORD_BAD_STAMP) ||
	    record->ring_seq < handover->loop->ring->sources[record->source].file_first_seq) /* the time of another file */
		return;
	for (uint32_t at = 0; at < handover->loop->inlet_count; at++)
		if (handover->loop->inlets[at].slot == record->source)
			handover->loop->inlets[at].last_ts_ns[record->flow_id] = record->ts_ns;
}

static bool nt_inlet_is_file(const struct nt_inlet *inlet)
{
	return inlet->source->kind == NT_SOURCE_PCAP;
}

/* The position is stored last, and the source has moved on since the note before: a death in between leaves a note that says nothing.
 * A file's reader dies with its process and has no position: there it is the sum of what the note says, by which half a note is
 * known. */
void nt_inlet_note(struct nt_inlet *inlet)
{
	struct nt_source_counters *slot = inlet->counters;
	const struct nt_source *source = inlet->source;
	uint64_t position;

	if (nt_inlet_is_file(inlet))
		position = nt_counters_taken(&slot->loop);
	else if (source->ops->position)
		position = source->ops->position(source);
	else
		return;
	nt_store_relaxed(&slot->batch_packets, slot->loop.packets);
	nt_store_relaxed(&slot->batch_oversize, slot->loop.oversize);
	nt_store_relaxed(&slot->batch_unselected, slot->loop.unselected);
	nt_store_release(&slot->batch_position, position);
}

/* The batch of the note comes again, at most `most` packets of it published: what is in the ring is left out, the rest judged anew. */
static bool nt_inlet_go_on(struct nt_inlet *inlet, uint64_t most)
{
	struct nt_source_counters *slot = inlet->counters;
	uint64_t standing = slot->loop.packets - slot->batch_packets;

	if (standing > most)
		return false; /* not one batch: better twice than not at all */
	inlet->standing = standing;
	nt_store_relaxed(&slot->loop.oversize, slot->batch_oversize);
	nt_store_relaxed(&slot->loop.unselected, slot->batch_unselected);
	return true;
}

/* A note counts for the holder that lent the source then. Where it says nothing, it is made to say so. */
static void nt_inlet_take_over(struct nt_inlet *inlet, uint64_t holder_id)
{
	struct nt_source_counters *slot = inlet->counters;
	const struct nt_source *source = inlet->source;

	if (nt_inlet_is_file(inlet) || !source->ops->position)
		return;
	if (holder_id && source->holder_id == holder_id && slot->holder_id == holder_id &&
	    slot->batch_position == source->ops->position(source) && nt_inlet_go_on(inlet, NT_BATCH_PACKETS))
		return;
	nt_inlet_note(inlet);
}

int nt_loop_take_over(struct nt_loop *loop, uint64_t next_seq, uint64_t holder_id, struct nt_fault *fault)
{
	uint64_t uncounted = nt_handover_uncounted(loop->ring, next_seq);
	struct nt_handover handover = {.loop = loop, .count_from_seq = next_seq - uncounted};
	int error = nt_ring_walk_recent(loop->ring, nt_handover_bytes(loop->ring), nt_handover_visit, &handover);

	if (error)
		return nt_fault_set(fault, error,
				    "the ring's newest records are not what a writer would write: remove the ring and start anew");
	if (handover.uncounted.packets) {
		handover.uncounted.packets = uncounted; /* a small ring may hold less than a batch */
		nt_loop_account(&loop->ring->sources[handover.newest_slot].loop, &handover.uncounted);
	}
	for (uint32_t at = 0; at < loop->inlet_count; at++)
		nt_inlet_take_over(&loop->inlets[at], holder_id);
	return 0;
}

/* The time of another file is not before this one's. */
static void nt_inlet_forget_stamps(struct nt_inlet *inlet)
{
	memset(inlet->last_ts_ns, 0, NT_FLOW_IDS * sizeof(*inlet->last_ts_ns));
}

/* The base first: a death before the note leaves a note that is older than the file, and so says nothing. */
void nt_loop_begin_file(struct nt_loop *loop, uint32_t source_index)
{
	struct nt_inlet *inlet = &loop->inlets[source_index];

	nt_store_relaxed(&inlet->counters->file_first_seq, loop->writer.next_seq);
	nt_store_relaxed(&inlet->counters->file_base, nt_counters_taken(&inlet->counters->loop));
	nt_fence_release();
	nt_inlet_note(inlet);
	nt_inlet_forget_stamps(inlet);
}

/* Half a note: its writer died before its batch, so that all before it was counted. */
uint64_t nt_loop_file_taken(struct nt_loop *loop, uint32_t source_index)
{
	struct nt_inlet *inlet = &loop->inlets[source_index];
	struct nt_source_counters *slot = inlet->counters;
	uint64_t noted = slot->batch_packets + slot->batch_oversize + slot->batch_unselected;

	if (slot->batch_position != noted || noted < slot->file_base || !nt_inlet_go_on(inlet, UINT64_MAX / 2))
		noted = nt_counters_taken(&slot->loop);
	nt_books_go_on(slot, noted);
	return noted - slot->file_base;
}
