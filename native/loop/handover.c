/* SPDX-License-Identifier: Apache-2.0 */
/* A predecessor may have died between any two steps of poll -> publish -> count -> release. Whatever it published and did not
 * release is in its last batch, and that batch is what its source hands us first. */
#include "state.h"

#include "../atomic.h"

/* The largest batch, wherever its records ended up. */
static uint64_t nt_handover_bytes(const struct nt_ring *ring)
{
	return NT_BATCH_PACKETS * nt_record_span((uint32_t)ring->max_record_bytes);
}

/* The first sequence of the newest epochs that borrowed from this same holder; UINT64_MAX: none. */
static uint64_t nt_handover_first_seq(const struct nt_ring *ring, uint64_t holder_id)
{
	uint64_t first_seq = UINT64_MAX;

	if (!holder_id)
		return first_seq;
	for (uint64_t epoch = nt_ring_epoch(ring); epoch; epoch--) {
		struct nt_ring_epoch entry;

		if (nt_ring_epoch_read(ring, epoch, &entry) || entry.holder_id != holder_id)
			break;
		first_seq = entry.first_seq;
	}
	return first_seq;
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
	uint64_t holder_from_seq;
	uint64_t count_from_seq;
};

static void nt_handover_count(struct nt_source_counters *slot, const struct nt_record *record)
{
	nt_count(&slot->loop.packets, 1);
	nt_count(&slot->loop.bytes, record->capture_length);
	if (record->flags & NT_RECORD_UNSTAMPED)
		nt_count(&slot->loop.unstamped, 1);
	if (record->flags & NT_RECORD_BACKWARDS)
		nt_count(&slot->loop.backwards, 1);
	__atomic_store_n(&slot->loop.last_packet_ns, record->ts_ns, __ATOMIC_RELAXED);
}

static void nt_handover_visit(const struct nt_record *record, void *context)
{
	struct nt_handover *handover = context;
	struct nt_loop *loop = handover->loop;

	if (record->flags & NT_RECORD_PADDING || record->source >= NT_RING_SOURCES_MAX || record->flow_id > NT_RING_FLOWS_MAX)
		return;
	if (record->ring_seq >= handover->count_from_seq)
		nt_handover_count(&loop->ring->sources[record->source], record);
	for (uint32_t at = 0; at < loop->inlet_count; at++) {
		struct nt_inlet *inlet = &loop->inlets[at];
		struct nt_flow_trace *trace = &inlet->flows[record->flow_id];

		if (inlet->slot != record->source)
			continue;
		if (!(record->flags & NT_RECORD_UNSTAMPED))
			trace->last_ts_ns = record->ts_ns;
		if (record->ring_seq >= handover->holder_from_seq && record->flow_seq > trace->highest_seq) {
			trace->highest_seq = record->flow_seq;
			inlet->may_repeat = true;
		}
	}
}

int nt_loop_take_over(struct nt_loop *loop, uint64_t next_seq, uint64_t holder_id, struct nt_fault *fault)
{
	struct nt_handover handover = {
		.loop = loop,
		.holder_from_seq = nt_handover_first_seq(loop->ring, holder_id),
		.count_from_seq = next_seq - nt_handover_uncounted(loop->ring, next_seq),
	};
	int error = nt_ring_walk_recent(loop->ring, nt_handover_bytes(loop->ring), nt_handover_visit, &handover);

	if (error)
		return nt_fault_set(fault, error,
				    "the ring's newest records are not what a writer would write: remove the ring and start anew");
	return 0;
}
