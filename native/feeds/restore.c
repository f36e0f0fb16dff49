/* SPDX-License-Identifier: Apache-2.0 */
#include "feeds.h"

#include <errno.h>

/* Hole by hole, so that no two lists end up with the same one, whatever was saved. */
static int restore_list(struct nt_feed_streams *all, const struct nt_feed_holes *saved, const struct nt_feed_hole *holes,
			uint32_t hole_count, struct nt_feed_holes *list)
{
	uint32_t at = saved->oldest;

	if (saved->count > NT_TOLD_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < saved->count; i++) {
		if (!at || at > hole_count)
			return -EINVAL;
		if (!nt_hole_add(all, list, &holes[at - 1]))
			return -ENOMEM;
		at = holes[at - 1].next;
	}
	return at ? -EINVAL : 0;
}

static int restore_stream(struct nt_feeds *feeds, const struct nt_feed_stream *saved, const struct nt_feed_hole *holes,
			  uint32_t hole_count)
{
	struct nt_feed_streams *all = &feeds->streams;
	int32_t labels = (int32_t)feeds->labels.count;
	struct nt_feed_stream *stream;
	struct nt_feed_flow *flow;
	uint32_t index, group;
	int error;

	if (saved->flow >= feeds->flow_count || saved->session >= labels || saved->key >= labels ||
	    nt_stream_find(all, saved->flow, saved->session, saved->key) != NT_STREAM_NONE)
		return -EINVAL;
	flow = &feeds->flows[saved->flow];
	index = nt_stream_add(all, saved->flow, flow->channel, saved->session, saved->key);
	if (index == NT_STREAM_NONE)
		return -ENOMEM;
	stream = &all->streams[index];
	group = stream->group;
	*stream = *saved;
	stream->group = group;
	stream->ring_lost = feeds->ring_lost;
	stream->flow_restarts = flow->restarts;
	stream->flow_lost = flow->lost;
	stream->open = stream->told = (struct nt_feed_holes){0};
	error = restore_list(all, &saved->open, holes, hole_count, &stream->open);
	if (!error)
		error = restore_list(all, &saved->told, holes, hole_count, &stream->told);
	flow->streams++;
	all->open_count += stream->open.count;
	if (stream->expected > all->group_next[group])
		all->group_next[group] = stream->expected;
	return error;
}

int nt_feeds_forget(struct nt_feeds *feeds)
{
	nt_streams_free(&feeds->streams);
	for (uint32_t i = 0; i < feeds->flow_count; i++) {
		feeds->flows[i].streams = 0;
		feeds->flows[i].last_stream = NT_STREAM_NONE;
	}
	feeds->finding_count = 0;
	return nt_streams_init(&feeds->streams);
}

int nt_feeds_restore(struct nt_feeds *feeds, const struct nt_label *labels, uint32_t label_count,
		     const struct nt_feed_stream *streams, uint32_t stream_count, const struct nt_feed_hole *holes,
		     uint32_t hole_count)
{
	int error = 0;

	for (uint32_t i = 0; i < label_count && !error; i++)
		if (nt_label_index(&feeds->labels, &labels[i]) != (int32_t)i)
			error = -EINVAL;
	for (uint32_t i = 0; i < stream_count && !error; i++)
		error = restore_stream(feeds, &streams[i], holes, hole_count);
	if (!error)
		return 0;
	return nt_feeds_forget(feeds) ? -ENOMEM : error;
}
