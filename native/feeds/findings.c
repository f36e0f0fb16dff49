/* SPDX-License-Identifier: Apache-2.0 */
#include "findings.h"

#include <errno.h>
#include <stdlib.h>

#define FINDINGS_APART 1024u /* at once; more of a kind and stream are told together */

static bool may_join(const struct nt_finding *before, const struct nt_finding *found)
{
	return before->kind == found->kind && before->stream == found->stream && found->kind != NT_FOUND_SESSION;
}

int nt_finding_add(struct nt_feeds *feeds, const struct nt_finding *found)
{
	if (feeds->finding_count >= FINDINGS_APART) {
		for (uint32_t i = feeds->finding_count; i-- > feeds->finding_count - FINDINGS_APART / 2;) {
			struct nt_finding *before = &feeds->findings[i];

			if (!may_join(before, found))
				continue;
			before->seq_first = found->seq_first < before->seq_first ? found->seq_first : before->seq_first;
			before->seq_last = found->seq_last > before->seq_last ? found->seq_last : before->seq_last;
			before->packets += found->packets;
			before->messages += found->messages;
			before->hole.ts_ns = found->hole.ts_ns;
			before->hole.ring_seq = found->hole.ring_seq;
			before->hole.flow_lost = before->hole.flow_lost < 0 || found->hole.flow_lost < 0
							 ? -1
							 : before->hole.flow_lost + found->hole.flow_lost;
			before->hole.ring_lost += found->hole.ring_lost;
			return 0;
		}
	}
	if (feeds->finding_count == feeds->finding_capacity) {
		uint32_t capacity = feeds->finding_capacity ? feeds->finding_capacity * 2 : 64;
		struct nt_finding *grown = realloc(feeds->findings, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		feeds->findings = grown;
		feeds->finding_capacity = capacity;
	}
	feeds->findings[feeds->finding_count++] = *found;
	return 0;
}

struct nt_feed_hole nt_feed_between(const struct nt_feeds *feeds, const struct nt_feed_stream *stream,
				    const struct nt_tracked *packet)
{
	const struct nt_feed_flow *flow = &feeds->flows[stream->flow];
	bool is_known = flow->flow_seq && flow->restarts == stream->flow_restarts && !feeds->is_replay;

	return (struct nt_feed_hole){
		.first = stream->expected,
		.last = packet->seq - 1,
		.ts_before_ns = stream->last_ts_ns,
		.ts_ns = packet->ts_ns,
		.ring_seq_before = stream->last_ring_seq,
		.ring_seq = packet->ring_seq,
		.flow_lost = is_known ? flow->lost - stream->flow_lost : -1,
		.ring_lost = feeds->ring_lost - stream->ring_lost,
	};
}

int nt_finding_between(struct nt_feeds *feeds, uint32_t kind, uint32_t index, const struct nt_tracked *packet, int64_t seq_first,
		       int64_t seq_last, uint64_t messages)
{
	struct nt_finding found = {
		.kind = kind,
		.stream = index,
		.seq_first = seq_first,
		.seq_last = seq_last,
		.packets = 1,
		.messages = messages,
		.session_before = -1,
		.hole = nt_feed_between(feeds, &feeds->streams.streams[index], packet),
	};

	return nt_finding_add(feeds, &found);
}

void nt_feed_forget_told(struct nt_feeds *feeds, struct nt_feed_stream *stream)
{
	while (stream->told.count >= NT_TOLD_MAX) {
		int64_t last = nt_hole_pop(&feeds->streams, &stream->told).last;

		stream->forgotten = last > stream->forgotten ? last : stream->forgotten;
	}
}

int nt_finding_gap(struct nt_feeds *feeds, uint32_t index)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	struct nt_feed_hole hole = nt_hole_pop(&feeds->streams, &stream->open);
	struct nt_finding found = {
		.kind = NT_FOUND_GAP,
		.stream = index,
		.seq_first = hole.first,
		.seq_last = hole.last,
		.messages = (uint64_t)(hole.last - hole.first) + 1,
		.session_before = -1,
		.hole = hole,
	};

	feeds->streams.open_count--;
	stream->gaps++;
	stream->missing += found.messages;
	nt_feed_forget_told(feeds, stream);
	if (!nt_hole_add(&feeds->streams, &stream->told, &hole))
		return -ENOMEM;
	return nt_finding_add(feeds, &found);
}

int nt_finding_gaps(struct nt_feeds *feeds, uint32_t index)
{
	int error = 0;

	while (!error && feeds->streams.streams[index].open.count)
		error = nt_finding_gap(feeds, index);
	return error;
}

int nt_finding_gaps_before(struct nt_feeds *feeds, uint32_t index, int64_t now_ns)
{
	const struct nt_feed_holes *open = &feeds->streams.streams[index].open;
	int error = 0;

	while (!error && open->count && now_ns - feeds->streams.holes[open->oldest - 1].ts_ns > feeds->window_ns)
		error = nt_finding_gap(feeds, index);
	return error;
}

int nt_feeds_expire(struct nt_feeds *feeds, int64_t now_ns)
{
	int error = 0;

	for (uint32_t i = 0; feeds->streams.open_count && i < feeds->streams.count && !error; i++)
		error = nt_finding_gaps_before(feeds, i, now_ns);
	return error;
}
