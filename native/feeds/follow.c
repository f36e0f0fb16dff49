/* SPDX-License-Identifier: Apache-2.0 */
#include "follow.h"

#include <errno.h>

#define RUN_PACKETS 64     /* that far back, one after the other, and nothing else: the sequence has begun anew */
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
	stream->run = 0;
	while (stream->told.count)
		nt_hole_pop(&feeds->streams, &stream->told);
	if (*next >= expected || *next > packet->seq + RESTART_SLACK) /* else another line has begun anew already */
		*next = packet->seq;
	return error;
}

/* A loop of snapshots that begins anew, though its first packets were lost: it is nearer to its begin than to where it was. */
static bool is_new_loop(const struct nt_feeds *feeds, const struct nt_feed_stream *stream, const struct nt_tracked *packet)
{
	if (packet->status != NT_FEED_SNAPSHOT || packet->seq <= stream->first)
		return packet->status == NT_FEED_SNAPSHOT;
	return packet->count && feeds->flows[stream->flow].role == NT_ROLE_SNAPSHOT &&
	       packet->seq - stream->first < stream->expected - packet->seq &&
	       !nt_holes_touch(&feeds->streams, &stream->open, packet->seq, packet->seq + packet->count - 1);
}

static int begin_loop(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	int64_t first = stream->first;
	int error = restart(feeds, index, packet);

	if (error || packet->seq <= first)
		return error;
	stream->first = stream->expected = first;
	error = open_hole(feeds, index, packet);
	stream->expected = packet->seq + packet->count;
	return error;
}

/* Whether a sequence began anew so that nobody saw its first packet. */
static bool is_run(struct nt_feed_stream *stream, const struct nt_tracked *packet)
{
	stream->run = stream->run && packet->seq == stream->run_end ? stream->run + 1 : 1;
	stream->run_end = packet->seq + packet->count;
	return stream->run >= RUN_PACKETS && stream->expected - packet->seq > RESTART_SLACK;
}

static int come_early(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	int64_t end = packet->seq + packet->count;
	int error = 0;

	if (packet->next_only)
		return is_restart(feeds, stream, packet) ? restart(feeds, index, packet) : 0;
	if (is_new_loop(feeds, stream, packet))
		return begin_loop(feeds, index, packet);
	if (fill(feeds, index, packet, &error) || end > stream->expected) {
		stream->expected = end > stream->expected ? end : stream->expected;
		stream->run = 0;
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
	if (!error && is_run(stream, packet))
		return restart(feeds, index, packet);
	stream->duplicates += (uint64_t)packet->count;
	return error ? error
		     : nt_finding_between(feeds, NT_FOUND_DUPLICATE, index, packet, packet->seq, end - 1, (uint64_t)packet->count);
}

int nt_feed_follow(struct nt_feeds *feeds, uint32_t index, const struct nt_tracked *packet)
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
	stream->run = 0;
	return error;
}
