/* SPDX-License-Identifier: Apache-2.0 */
#include "feeds.h"

#define MINUTE_NS (60 * INT64_C(1000000000))
#define HOUR_NS (60 * MINUTE_NS)
#define WEEK_NS (7 * 24 * HOUR_NS) /* a session that was not heard of since is over; a holiday is shorter */

static void give_up(struct nt_feeds *feeds, uint32_t index)
{
	struct nt_feed_stream *stream = &feeds->streams.streams[index];
	struct nt_feed_flow *flow = &feeds->flows[stream->flow];

	flow->past.messages += stream->messages;
	flow->past.duplicates += stream->duplicates;
	flow->past.reordered += stream->reordered;
	flow->past.gaps += stream->gaps;
	flow->past.missing += stream->missing;
	flow->streams--;
	if (flow->last_stream == index)
		flow->last_stream = NT_STREAM_NONE;
	while (stream->told.count)
		nt_hole_pop(&feeds->streams, &stream->told);
	stream->flow = NT_FLOW_NONE;
	stream->group = feeds->streams.free_stream;
	feeds->streams.free_stream = index + 1;
}

void nt_feeds_give_up_idle(struct nt_feeds *feeds, int64_t now_ns)
{
	bool is_full = feeds->untracked != feeds->untracked_then;
	int64_t since_ns = now_ns - feeds->looked_ns, idle_ns = is_full ? HOUR_NS : WEEK_NS;
	uint32_t given_up = 0;

	if (feeds->finding_count || now_ns < WEEK_NS || (since_ns >= 0 && since_ns < (is_full ? MINUTE_NS : HOUR_NS)))
		return;
	feeds->looked_ns = now_ns;
	feeds->untracked_then = feeds->untracked;
	for (uint32_t i = 0; i < feeds->streams.count; i++) {
		const struct nt_feed_stream *stream = &feeds->streams.streams[i];

		if (stream->flow == NT_FLOW_NONE || stream->open.count || stream->last_ts_ns > now_ns - idle_ns)
			continue;
		give_up(feeds, i);
		given_up++;
	}
	if (given_up)
		nt_streams_settle(&feeds->streams);
}
