/* SPDX-License-Identifier: Apache-2.0 */
#include "streams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 64u

static inline uint32_t hash_of(uint32_t owner, int32_t session, int32_t key)
{
	uint64_t hash = ((uint64_t)owner << 32 | (uint32_t)session) * 0x9E3779B97F4A7C15ull;

	hash = (hash ^ (hash >> 32) ^ (uint32_t)key) * 0xC2B2AE3D27D4EB4Full;
	return (uint32_t)(hash >> 32);
}

static int reserve(struct nt_feed_streams *all, uint32_t capacity)
{
	const struct {
		void **array;
		size_t bytes;
	} arrays[] = {
		{(void **)&all->streams, sizeof(*all->streams)},
		{(void **)&all->group_next, sizeof(*all->group_next)},
		{(void **)&all->group_channels, sizeof(*all->group_channels)},
		{(void **)&all->group_sessions, sizeof(*all->group_sessions)},
		{(void **)&all->group_keys, sizeof(*all->group_keys)},
	};
	uint32_t *slots = calloc((size_t)4 * capacity, sizeof(*slots)); /* of streams, then of groups */
	uint32_t mask = 2 * capacity - 1;

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
		void *grown = realloc(*arrays[i].array, capacity * arrays[i].bytes);

		if (!grown) {
			free(slots);
			return -ENOMEM;
		}
		*arrays[i].array = grown;
	}
	free(all->slots);
	all->slots = slots;
	all->group_slots = slots + (size_t)2 * capacity;
	all->capacity = capacity;
	for (uint32_t i = 0; i < all->count; i++) {
		const struct nt_feed_stream *stream = &all->streams[i];
		uint32_t at = hash_of(stream->flow, stream->session, stream->key) & mask;

		while (all->slots[at])
			at = (at + 1) & mask;
		all->slots[at] = i + 1;
	}
	for (uint32_t i = 0; i < all->group_count; i++) {
		uint32_t at = hash_of(all->group_channels[i], all->group_sessions[i], all->group_keys[i]) & mask;

		while (all->group_slots[at])
			at = (at + 1) & mask;
		all->group_slots[at] = i + 1;
	}
	return 0;
}

int nt_streams_init(struct nt_feed_streams *all)
{
	memset(all, 0, sizeof(*all));
	if (reserve(all, CAPACITY_FIRST)) {
		nt_streams_free(all);
		return -ENOMEM;
	}
	return 0;
}

void nt_streams_free(struct nt_feed_streams *all)
{
	free(all->streams);
	free(all->holes);
	free(all->group_next);
	free(all->slots);
	free(all->group_channels);
	free(all->group_sessions);
	free(all->group_keys);
	memset(all, 0, sizeof(*all));
}

uint32_t nt_stream_find(const struct nt_feed_streams *all, uint32_t flow, int32_t session, int32_t key)
{
	uint32_t mask = 2 * all->capacity - 1;

	for (uint32_t at = hash_of(flow, session, key) & mask; all->slots[at]; at = (at + 1) & mask) {
		const struct nt_feed_stream *stream = &all->streams[all->slots[at] - 1];

		if (stream->flow == flow && stream->session == session && stream->key == key)
			return all->slots[at] - 1;
	}
	return NT_STREAM_NONE;
}

static uint32_t group_of(struct nt_feed_streams *all, uint32_t channel, int32_t session, int32_t key)
{
	uint32_t mask = 2 * all->capacity - 1, at = hash_of(channel, session, key) & mask;

	for (; all->group_slots[at]; at = (at + 1) & mask) {
		uint32_t group = all->group_slots[at] - 1;

		if (all->group_channels[group] == channel && all->group_sessions[group] == session && all->group_keys[group] == key)
			return group;
	}
	all->group_channels[all->group_count] = channel;
	all->group_sessions[all->group_count] = session;
	all->group_keys[all->group_count] = key;
	all->group_next[all->group_count] = INT64_MIN;
	all->group_slots[at] = ++all->group_count;
	return all->group_count - 1;
}

uint32_t nt_stream_add(struct nt_feed_streams *all, uint32_t flow, uint32_t channel, int32_t session, int32_t key)
{
	uint32_t mask, at;

	if (all->count == NT_STREAMS_MAX || (all->count == all->capacity && reserve(all, all->capacity * 2)))
		return NT_STREAM_NONE;
	mask = 2 * all->capacity - 1;
	at = hash_of(flow, session, key) & mask;
	while (all->slots[at])
		at = (at + 1) & mask;
	all->streams[all->count] = (struct nt_feed_stream){.flow = flow,
							   .session = session,
							   .key = key,
							   .group = group_of(all, channel, session, key)};
	all->slots[at] = ++all->count;
	return all->count - 1;
}

static uint32_t new_hole(struct nt_feed_streams *all)
{
	uint32_t hole = all->free_hole;

	if (hole) {
		all->free_hole = all->holes[hole - 1].next;
		return hole;
	}
	if (all->hole_count == all->hole_capacity) {
		uint32_t capacity = all->hole_capacity ? all->hole_capacity * 2 : CAPACITY_FIRST;
		struct nt_feed_hole *grown = realloc(all->holes, capacity * sizeof(*grown));

		if (!grown)
			return 0;
		all->holes = grown;
		all->hole_capacity = capacity;
	}
	return ++all->hole_count;
}

static void release_hole(struct nt_feed_streams *all, uint32_t hole)
{
	all->holes[hole - 1].next = all->free_hole;
	all->free_hole = hole;
}

bool nt_hole_add(struct nt_feed_streams *all, struct nt_feed_holes *list, const struct nt_feed_hole *hole)
{
	uint32_t new = new_hole(all);

	if (!new)
		return false;
	all->holes[new - 1] = *hole;
	all->holes[new - 1].next = 0;
	if (list->newest)
		all->holes[list->newest - 1].next = new;
	else
		list->oldest = new;
	list->newest = new;
	list->count++;
	return true;
}

struct nt_feed_hole nt_hole_pop(struct nt_feed_streams *all, struct nt_feed_holes *list)
{
	uint32_t oldest = list->oldest;
	struct nt_feed_hole hole = all->holes[oldest - 1];

	list->oldest = hole.next;
	if (!list->oldest)
		list->newest = 0;
	list->count--;
	release_hole(all, oldest);
	return hole;
}

/* The part behind last, as a hole of its own just behind `hole`. A full list loses it: callers keep room among the open ones. */
static void split(struct nt_feed_streams *all, struct nt_feed_holes *list, uint32_t hole, int64_t last)
{
	uint32_t new = list->count < NT_TOLD_MAX ? new_hole(all) : 0;
	struct nt_feed_hole *before = &all->holes[hole - 1];

	if (!new)
		return;
	all->holes[new - 1] = *before;
	all->holes[new - 1].first = last + 1;
	before->next = new;
	if (list->newest == hole)
		list->newest = new;
	list->count++;
}

uint64_t nt_holes_fill(struct nt_feed_streams *all, struct nt_feed_holes *list, int64_t first, int64_t last, int64_t *since_ns)
{
	uint64_t filled = 0;
	uint32_t before = 0, at = list->oldest;

	while (at) {
		struct nt_feed_hole *hole = &all->holes[at - 1];
		uint32_t next = hole->next;
		int64_t from = hole->first > first ? hole->first : first, to = hole->last < last ? hole->last : last;

		if (from > to) {
			before = at;
			at = next;
			continue;
		}
		if (!filled || hole->ts_ns < *since_ns)
			*since_ns = hole->ts_ns;
		filled += (uint64_t)(to - from) + 1;
		if (from == hole->first && to == hole->last) {
			if (before)
				all->holes[before - 1].next = next;
			else
				list->oldest = next;
			if (list->newest == at)
				list->newest = before;
			list->count--;
			release_hole(all, at);
			at = next;
			continue;
		}
		if (from == hole->first) {
			hole->first = to + 1;
		} else {
			if (to != hole->last)
				split(all, list, at, to);
			all->holes[at - 1].last = from - 1;
		}
		before = at;
		at = next;
	}
	return filled;
}

bool nt_holes_touch(const struct nt_feed_streams *all, const struct nt_feed_holes *list, int64_t first, int64_t last)
{
	for (uint32_t at = list->oldest; at; at = all->holes[at - 1].next)
		if (all->holes[at - 1].first <= last && all->holes[at - 1].last >= first)
			return true;
	return false;
}
