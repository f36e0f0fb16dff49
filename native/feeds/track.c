/* SPDX-License-Identifier: Apache-2.0 */
#include "findings.h"

#include <errno.h>
#include <stddef.h>

#define RESTART_SLACK 1000 /* a sequence of 1 that is no further back is one that comes late */

static int open_hole(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	struct nt_feed_hole hole = nt_feed_between(feeds, stream, packet);
	int error = 0;

	if (stream->open.count >= NT_HOLES_MAX - 1) /* one is kept free for a split */
		error = nt_finding_gap(feeds, index);
	if (error || !nt_hole_add(&feeds->streams, &stream->open, &hole))
		return -ENOMEM;
	feeds->streams.open_count++;
	if (hole.ts_ns < feeds->oldest_hole_ns)
		feeds->oldest_hole_ns = hole.ts_ns;
	return 0;
}

/* A packet from before what is expected: what of it fills open holes or gaps. Returns whether any did; an error in `*error`. */
static bool fill(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet, int *error)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	int64_t last = packet->seq + packet->count - 1, since = packet->ts_ns;
	uint32_t open = stream->open.count;
	struct nt_finding found = {
		.kind = NT_FOUND_REORDER, .stream = index, .seq_first = packet->seq, .packets = 1, .session_before = -1};
	uint64_t late;

	if (last >= stream->expected)
		last = stream->expected - 1;
	found.seq_last = last;
	if (open >= NT_HOLES_MAX - 1) { /* one is kept free for a split */
		*error = nt_finding_gap(feeds, index);
		open = stream->open.count;
	}
	found.messages = nt_holes_fill(&feeds->streams, &stream->open, packet->seq, last, &since);
	feeds->streams.open_count += stream->open.count - open;
	nt_feed_forget_told(feeds, stream); /* a split, too, needs room */
	late = nt_holes_fill(&feeds->streams, &stream->told, packet->seq, last, &since);
	stream->reordered += found.messages;
	stream->missing -= late < stream->missing ? late : stream->missing;
	found.hole = (struct nt_feed_hole){.first = packet->seq,
					   .last = last,
					   .ts_before_ns = since,
					   .ts_ns = packet->ts_ns,
					   .ring_seq_before = stream->last_ring_seq,
					   .ring_seq = packet->ring_seq,
					   .flow_lost = -1};
	if (found.messages && !*error)
		*error = nt_finding_add(feeds, &found);
	open = found.messages != 0;
	found.kind = NT_FOUND_LATE;
	found.messages = late;
	if (late && !*error)
		*error = nt_finding_add(feeds, &found);
	return open || late;
}

static bool is_restart(const struct nt_feeds *feeds, const struct nt_feed_stream *stream, const struct nt_tracked *packet)
{
	int64_t back = stream->expected - packet->seq;

	return back > feeds->reset_distance || (packet->seq <= 1 && back > RESTART_SLACK);
}

static int restart(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	int64_t expected = stream->expected, *next = &feeds->streams.group_next[stream->group];
	int error = nt_finding_gaps(feeds, index);

	if (!error && packet->status != NT_FEED_SNAPSHOT)
		error = nt_finding_between(feeds, NT_FOUND_RESET, index, packet, expected, packet->seq, 0);
	stream->first = packet->seq;
	stream->expected = packet->seq + packet->count;
	stream->forgotten = INT64_MIN;
	while (stream->told.count)
		nt_hole_pop(&feeds->streams, &stream->told);
	if (*next >= expected || *next > packet->seq + RESTART_SLACK) /* else another line has begun anew already */
		*next = packet->seq;
	return error;
}

static int come_early(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	int64_t end = packet->seq + packet->count;
	int error = 0;

	if (packet->next_only)
		return is_restart(feeds, stream, packet) ? restart(feeds, index, packet) : 0;
	if (packet->status == NT_FEED_SNAPSHOT && packet->seq <= stream->first)
		return restart(feeds, index, packet);
	if (fill(feeds, index, packet, &error) || end > stream->expected) {
		stream->expected = end > stream->expected ? end : stream->expected;
		return error;
	}
	if (!error && is_restart(feeds, stream, packet))
		return restart(feeds, index, packet);
	if (end <= stream->first) { /* from before we came: it was overtaken by what we saw first */
		stream->first = packet->seq;
		return error;
	}
	if (!packet->count) /* nothing in it that could have come before */
		return error;
	stream->duplicates += (uint64_t)packet->count;
	return error ? error
		     : nt_finding_between(feeds, NT_FOUND_DUPLICATE, index, packet, packet->seq, end - 1, (uint64_t)packet->count);
}

static int follow(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	int error = 0;

	if (packet->status == NT_FEED_RETRANSMIT) {
		fill(feeds, index, packet, &error);
		return error;
	}
	if (packet->status == NT_FEED_RESET)
		return restart(feeds, index, packet);
	if (packet->seq < stream->expected)
		return come_early(feeds, index, packet);
	if (packet->seq > stream->expected)
		error = open_hole(feeds, index, packet);
	stream->expected = packet->seq + packet->count;
	return error;
}

/* The stream of this flow and key that was there before, with another session. */
static int32_t session_before(const struct nt_feeds *feeds, uint32_t index)
{
	const struct nt_feed_stream *stream = &feeds->streams.streams[index], *found = NULL;

	for (uint32_t i = 0; i < index; i++) {
		const struct nt_feed_stream *other = &feeds->streams.streams[i];

		if (other->flow == stream->flow && other->key == stream->key &&
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

	if (feeds->streams.open_count && packet->ts_ns - feeds->oldest_hole_ns > feeds->window_ns)
		error = nt_feeds_expire(feeds, packet->ts_ns);
	if (index == NT_STREAM_NONE || feeds->streams.streams[index].session != packet->session ||
	    feeds->streams.streams[index].key != packet->key)
		index = nt_stream_find(&feeds->streams, flow_id, packet->session, packet->key);
	if (index == NT_STREAM_NONE && packet->status != NT_FEED_RETRANSMIT && !error)
		error = begin_stream(feeds, flow_id, packet, &index);
	if (index == NT_STREAM_NONE) {
		feeds->untracked += packet->status != NT_FEED_RETRANSMIT;
		return error;
	}
	flow->last_stream = index;
	if (!error)
		error = follow(feeds, index, packet);
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
		if (packet.ts_ns > feeds->newest_ts_ns)
			feeds->newest_ts_ns = packet.ts_ns;
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
