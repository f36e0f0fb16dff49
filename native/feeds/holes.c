/* SPDX-License-Identifier: Apache-2.0 */
#include "streams.h"

#include <stdlib.h>

#define CAPACITY_FIRST 64u

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

/* The part behind last, as a hole of its own just behind `hole`. A full list would lose it: callers keep room. */
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
