/* SPDX-License-Identifier: Apache-2.0 */
/* A binary search down to leaves of a few ranges, which are asked for one after the other. */
#include "filter_assembly.h"

#include <stdlib.h>

#define NT_FILTER_LEAF 16u
#define NT_FILTER_FOUND UINT32_MAX /* a jump of a search, until its end is known */

uint32_t nt_search_cost(const struct nt_search *search)
{
	uint32_t leaves = (search->count + NT_FILTER_LEAF - 1) / NT_FILTER_LEAF;
	uint32_t cost = leaves ? 2 * leaves + 2 * (leaves - 1) : 1;

	for (uint32_t i = 0; i < search->count; i++)
		cost += search->ranges[i].first == search->ranges[i].last ? 1 : 2;
	return cost;
}

static int compare_values(const void *left, const void *right)
{
	const uint32_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* Neighbours at most `gap` apart become one range. */
static void merge(struct nt_search *search, const uint32_t *values, uint32_t count, uint32_t gap)
{
	search->count = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct nt_range *range = &search->ranges[search->count ? search->count - 1 : 0];

		if (search->count && values[i] - range->last <= gap)
			range->last = values[i];
		else
			search->ranges[search->count++] = (struct nt_range){values[i], values[i]};
	}
}

void nt_search_prepare(struct nt_search *search, uint32_t *values, uint32_t count, uint32_t budget)
{
	qsort(values, count, sizeof(*values), compare_values);
	merge(search, values, count, 1);
	for (uint32_t gap = 2; gap && nt_search_cost(search) > budget; gap *= 2)
		merge(search, values, count, gap);
	if (nt_search_cost(search) > budget)
		merge(search, values, count, UINT32_MAX);
}

/* A in one of these ranges: on to what follows the search. */
static void emit_leaf(struct nt_assembly *to, const struct nt_range *ranges, uint32_t count)
{
	uint32_t left = 0; /* instructions up to the leaf's jump */

	for (uint32_t i = 0; i < count; i++)
		left += ranges[i].first == ranges[i].last ? 1 : 2;
	for (uint32_t i = 0; i < count; i++) {
		if (ranges[i].first == ranges[i].last) {
			nt_assembly_emit(to, BPF_JMP | BPF_JEQ, (uint8_t)left--, 0, ranges[i].first);
		} else {
			nt_assembly_emit(to, BPF_JMP | BPF_JGE, 0, 1, ranges[i].first);
			left--;
			nt_assembly_emit(to, BPF_JMP | BPF_JGT, 0, (uint8_t)left--, ranges[i].last);
		}
	}
	nt_assembly_add(to, BPF_RET | BPF_K, 0);
	nt_assembly_emit(to, BPF_JMP | BPF_JA, 0, 0, NT_FILTER_FOUND);
}

static void emit_ranges(struct nt_assembly *to, const struct nt_range *ranges, uint32_t count)
{
	uint32_t half = (count + NT_FILTER_LEAF - 1) / NT_FILTER_LEAF / 2 * NT_FILTER_LEAF;
	uint32_t at;

	if (count <= NT_FILTER_LEAF) {
		emit_leaf(to, ranges, count);
		return;
	}
	nt_assembly_emit(to, BPF_JMP | BPF_JGE, 0, 1, ranges[half].first);
	at = to->count;
	nt_assembly_add(to, BPF_JMP | BPF_JA, 0); /* eight bits of a condition may not reach */
	emit_ranges(to, ranges, half);
	if (at < to->room)
		to->code[at].k = to->count - at - 1;
	emit_ranges(to, ranges + half, count - half);
}

void nt_search_emit(struct nt_assembly *to, const struct nt_search *search)
{
	uint32_t begin = to->count;

	if (search->count == 0)
		nt_assembly_add(to, BPF_RET | BPF_K, 0);
	else
		emit_ranges(to, search->ranges, search->count);
	for (uint32_t at = begin; at < to->count && at < to->room; at++)
		if (to->code[at].code == (BPF_JMP | BPF_JA) && to->code[at].k == NT_FILTER_FOUND)
			to->code[at].k = to->count - at - 1;
}
