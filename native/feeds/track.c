/* SPDX-License-Identifier: Apache-2.0 */
#include "follow.h"

#include <errno.h>
#include <stddef.h>

/* The stream of this flow and key that was there before, with another session. */
static int32_t session_before(const struct nt_feeds *feeds, uint32_t index)
{
	const struct nt_feed_stream *stream = &feeds->streams.streams[index], *found = NULL;

	for (uint32_t i = 0; i < feeds->streams.count; i++) {
		const struct nt_feed_stream *other = &feeds->streams.streams[i];

		if (i != index && other->flow == stream->flow && other->key == stream->key &&
		    (!found || other->last_ring_seq >= found->last_ring_seq))
			found = other;
	}
	return found ? found->session : -1;
}

static int begin_stream(struct nt_feeds *feeds, uint32_t flow_id, const struct nt_tracked *packet, uint32_t *index)
{
	struct nt_feed_flow *flow = &feeds->flows[flow_id];
	struct nt_feed_stream *stream;
	int32_t before;

	if (flow->streams < NT_STREAMS_FLOW_MAX)
		*index = nt_stream_add(&feeds->streams, flow_id, flow->channel, packet->session, packet->key);
	if (*index == NT_STREAM_NONE)
		return 0;
	flow->streams++;
	stream = &feeds->streams.streams[*index];
	stream->first = stream->expected = packet->seq;
	stream->flow_restarts = flow->restarts;
	stream->flow_lost = flow->lost;
	stream->ring_lost = feeds->ring_lost;
	before = session_before(feeds, *index);
	if (before < 0)
		return 0;
	return nt_finding_add(feeds, &(struct nt_finding){.kind = NT_FOUND_SESSION,
							  .stream = *index,
							  .seq_first = packet->seq,
							  .seq_last = packet->seq,
							  .packets = 1,
							  .session_before = before,
							  .hole = {.ts_before_ns = packet->ts_ns,
								   .ts_ns = packet->ts_ns,
								   .ring_seq = packet->ring_seq,
								   .flow_lost = -1}});
}

static int end_session(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];

	if (packet->status != NT_FEED_END) {
		stream->ended &= packet->status == NT_FEED_HEARTBEAT;
		return 0;
	}
	if (stream->ended)
		return 0;
	stream->ended = 1;
	return nt_finding_between(feeds, NT_FOUND_END, index, packet, packet->seq, packet->seq, 0);
}

static void remember(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	const struct nt_feed_flow *flow = &feeds->flows[stream->flow];

	stream->last_ts_ns = packet->ts_ns;
	stream->last_ring_seq = packet->ring_seq;
	stream->flow_lost = flow->lost;
	stream->flow_restarts = flow->restarts;
	stream->ring_lost = feeds->ring_lost;
	stream->packets++;
	stream->messages += (uint64_t)packet->count;
}

/* The line that brings a sequence first. */
static uint8_t arrival(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	int64_t *next = &feeds->streams.group_next[stream->group], end = packet->seq + packet->count;

	if (feeds->flows[stream->flow].lines < 2 || packet->status != NT_FEED_DATA || !packet->count)
		return NT_FIRST_UNKNOWN;
	if (end <= *next)
		return 0;
	*next = end;
	return 1;
}

/* By the flow's own sequence, which begins anew with another holder or epoch. */
static void count_flow(struct nt_feed_flow *flow, uint64_t flow_seq, int64_t ts_ns)
{
	if (!flow->packets)
		flow->first_ts_ns = ts_ns;
	flow->packets++;
	flow->last_ts_ns = ts_ns;
	if (!flow->flow_seq || flow_seq <= flow->flow_seq)
		flow->restarts++;
	else
		flow->lost += (int64_t)(flow_seq - flow->flow_seq - 1);
	flow->flow_seq = flow_seq;
}

static int track_packet(struct nt_feeds *feeds, uint32_t flow_id, const struct nt_tracked *packet, uint8_t *first)
{
	struct nt_feed_flow *flow = &feeds->flows[flow_id];
	uint32_t index = flow->last_stream;
	int error = 0;

	if (index == NT_STREAM_NONE || feeds->streams.streams[index].session != packet->session ||
	    feeds->streams.streams[index].key != packet->key)
		index = nt_stream_find(&feeds->streams, flow_id, packet->session, packet->key);
	if (index == NT_STREAM_NONE && packet->status != NT_FEED_RETRANSMIT)
		error = begin_stream(feeds, flow_id, packet, &index);
	if (index == NT_STREAM_NONE) {
		feeds->untracked += packet->status != NT_FEED_RETRANSMIT;
		return error;
	}
	flow->last_stream = index;
	if (!error) /* by its own stamps: a busy queue is drained later than a quiet one, and clocks differ */
		error = nt_finding_gaps_before(feeds, index, packet->ts_ns);
	if (!error)
		error = nt_feed_follow(feeds, index, packet);
	if (!error)
		error = end_session(feeds, index, packet);
	*first = arrival(feeds, index, packet);
	remember(feeds, index, packet);
	return error;
}

/* Whether a heartbeat or an end carries the sequence that comes next. */
static bool says_next(const struct nt_framing *framing, int64_t seq)
{
	return framing->heartbeat_next && !(framing->has_heartbeat_idle && (uint64_t)seq == framing->heartbeat_idle);
}

int nt_feeds_track(struct nt_feeds *feeds, const struct nt_feed_rows *rows, const struct nt_feed_columns *columns)
{
	int error = 0;

	if (rows->rows)
		nt_feeds_give_up_idle(feeds, rows->ts_ns[0]);
	for (uint32_t row = 0; row < rows->rows && !error; row++) {
		uint32_t flow_id = rows->flow_id[row] < feeds->flow_count ? rows->flow_id[row] : 0;
		struct nt_feed_flow *flow = &feeds->flows[flow_id];
		struct nt_tracked packet = {.status = columns->status[row], .ts_ns = rows->ts_ns[row]};
		bool is_empty = packet.status == NT_FEED_HEARTBEAT || packet.status == NT_FEED_END;

		columns->first[row] = NT_FIRST_UNKNOWN;
		feeds->ring_lost += rows->lost_before[row];
		count_flow(flow, rows->flow_seq ? rows->flow_seq[row] : 0, packet.ts_ns);
		flow->bad += packet.status == NT_FEED_BAD;
		if (packet.status == NT_FEED_NONE || packet.status == NT_FEED_BAD || packet.status == NT_FEED_UNSEQUENCED)
			continue;
		packet.next_only = is_empty;
		packet.seq = columns->seq[row];
		if (is_empty && !says_next(&feeds->framings[flow->framing], packet.seq))
			continue;
		packet.count = is_empty ? 0 : columns->count[row];
		packet.session = columns->session[row];
		packet.key = columns->key[row];
		packet.ring_seq = (uint64_t)rows->ring_seq[row];
		error = track_packet(feeds, flow_id, &packet, &columns->first[row]);
	}
	return error;
}
