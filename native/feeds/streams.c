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

/* All that there is into empty hash tables. */
static void enter(struct nt_feed_streams *all)
{
	uint32_t mask = 2 * all->capacity - 1;

	for (uint32_t i = 0; i < all->count; i++) {
		const struct nt_feed_stream *stream = &all->streams[i];
		uint32_t at = hash_of(stream->flow, stream->session, stream->key) & mask;

		if (stream->flow == NT_FLOW_NONE)
			continue;
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
	enter(all);
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

static uint32_t free_place(struct nt_feed_streams *all)
{
	uint32_t index = all->free_stream;

	if (index) {
		all->free_stream = all->streams[index - 1].group;
		return index - 1;
	}
	if (all->count == NT_STREAMS_MAX || (all->count == all->capacity && reserve(all, all->capacity * 2)))
		return NT_STREAM_NONE;
	return all->count++;
}

uint32_t nt_stream_add(struct nt_feed_streams *all, uint32_t flow, uint32_t channel, int32_t session, int32_t key)
{
	uint32_t mask, at, index = free_place(all);

	if (index == NT_STREAM_NONE)
		return index;
	mask = 2 * all->capacity - 1;
	at = hash_of(flow, session, key) & mask;
	while (all->slots[at])
		at = (at + 1) & mask;
	all->streams[index] = (struct nt_feed_stream){.flow = flow,
						      .session = session,
						      .key = key,
						      .forgotten = INT64_MIN,
						      .group = group_of(all, channel, session, key)};
	all->slots[at] = index + 1;
	return index;
}

/* Groups that are still used move down over those that are not. */
static void drop_groups(struct nt_feed_streams *all)
{
	uint32_t *moved = all->group_slots; /* empty, and long enough */
	uint32_t kept = 0;

	for (uint32_t i = 0; i < all->count; i++)
		if (all->streams[i].flow != NT_FLOW_NONE)
			moved[all->streams[i].group] = 1;
	for (uint32_t i = 0; i < all->group_count; i++) {
		if (!moved[i])
			continue;
		all->group_next[kept] = all->group_next[i];
		all->group_channels[kept] = all->group_channels[i];
		all->group_sessions[kept] = all->group_sessions[i];
		all->group_keys[kept] = all->group_keys[i];
		moved[i] = kept++;
	}
	for (uint32_t i = 0; i < all->count; i++)
		if (all->streams[i].flow != NT_FLOW_NONE)
			all->streams[i].group = moved[all->streams[i].group];
	all->group_count = kept;
}

void nt_streams_settle(struct nt_feed_streams *all)
{
	size_t slots = (size_t)4 * all->capacity;

	memset(all->slots, 0, slots * sizeof(*all->slots));
	drop_groups(all);
	memset(all->slots, 0, slots * sizeof(*all->slots));
	enter(all);
}
