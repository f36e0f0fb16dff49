/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of judge.h in user space: open addressing, at most a quarter full, and never changed once they are made. */
#include "selector.h"

#include "../xdp/flow_keys.h"
#include "../xdp/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VACANT UINT32_MAX /* no flow's id */
#define PLACES_MIN 8u

struct place4 {
	struct nt_xdp_key4 key;
	uint32_t flow_id;
};

struct place6 {
	struct nt_xdp_key6 key;
	uint32_t flow_id;
};

struct nt_tables {
	struct place4 *places4;
	struct place6 *places6;
	uint32_t mask4; /* how many there are, a power of two, less one */
	uint32_t mask6;
};

struct nt_selector {
	struct nt_xdp_options options;
	struct nt_tables tables;
};

_Static_assert(sizeof(struct place4) == 16 && sizeof(struct place6) == 40, "places have no padding");

/* Keys are whole words. */
NT_INLINE uint32_t hash(const void *key, size_t bytes)
{
	uint64_t value = 0;

	for (size_t at = 0; at < bytes; at += 4)
		value = (value ^ nt_load32((const uint8_t *)key + at)) * 0x9E3779B97F4A7C15ull;
	return (uint32_t)(value >> 32);
}

NT_INLINE bool same(const void *key, const void *other, size_t bytes)
{
	uint32_t difference = 0;

	for (size_t at = 0; at < bytes; at += 4)
		difference |= nt_load32((const uint8_t *)key + at) ^ nt_load32((const uint8_t *)other + at);
	return difference == 0;
}

/* The key's place, or the vacant one where it would go. */
NT_INLINE struct place4 *place_of4(const struct nt_tables *tables, const struct nt_xdp_key4 *key)
{
	uint32_t at = hash(key, sizeof(*key)) & tables->mask4;

	while (tables->places4[at].flow_id != VACANT && !same(&tables->places4[at].key, key, sizeof(*key)))
		at = (at + 1) & tables->mask4;
	return &tables->places4[at];
}

NT_INLINE struct place6 *place_of6(const struct nt_tables *tables, const struct nt_xdp_key6 *key)
{
	uint32_t at = hash(key, sizeof(*key)) & tables->mask6;

	while (tables->places6[at].flow_id != VACANT && !same(&tables->places6[at].key, key, sizeof(*key)))
		at = (at + 1) & tables->mask6;
	return &tables->places6[at];
}

NT_INLINE const __u32 *nt_find4(const struct nt_tables *tables, const struct nt_xdp_key4 *key)
{
	const struct place4 *place = place_of4(tables, key);

	return place->flow_id == VACANT ? NULL : &place->flow_id;
}

NT_INLINE const __u32 *nt_find6(const struct nt_tables *tables, const struct nt_xdp_key6 *key)
{
	const struct place6 *place = place_of6(tables, key);

	return place->flow_id == VACANT ? NULL : &place->flow_id;
}

static int enter(void *opaque, const struct nt_flow_key *key, uint32_t flow_id, bool replace)
{
	struct nt_tables *tables = opaque;
	bool is4 = key->family == NT_FAMILY_IPV4;
	struct place4 *place4 = is4 ? place_of4(tables, &key->v4) : NULL;
	struct place6 *place6 = is4 ? NULL : place_of6(tables, &key->v6);
	uint32_t *there = is4 ? &place4->flow_id : &place6->flow_id;

	if (*there != VACANT && !replace)
		return -EEXIST;
	if (is4)
		place4->key = key->v4;
	else
		place6->key = key->v6;
	*there = flow_id;
	return 0;
}

static uint32_t places_for(uint32_t flows)
{
	uint32_t places = PLACES_MIN;

	while (places < 4 * NT_KEYS_PER_FLOW * flows)
		places *= 2;
	return places;
}

static int make_tables(struct nt_tables *tables, const struct nt_selection *selection)
{
	uint32_t places4 = places_for(selection->flows4), places6 = places_for(selection->flows6);

	tables->places4 = calloc(places4, sizeof(*tables->places4));
	tables->places6 = calloc(places6, sizeof(*tables->places6));
	if (!tables->places4 || !tables->places6)
		return -ENOMEM;
	tables->mask4 = places4 - 1;
	tables->mask6 = places6 - 1;
	for (uint32_t at = 0; at < places4; at++)
		tables->places4[at].flow_id = VACANT;
	for (uint32_t at = 0; at < places6; at++)
		tables->places6[at].flow_id = VACANT;
	return 0;
}

int nt_selector_create(struct nt_selector **selector, uint32_t select, const struct nt_flow *flows, uint32_t flow_count,
		       const char *interface, struct nt_fault *fault)
{
	struct nt_selector *made;
	struct nt_selection selection;
	int error;

	if (select > NT_SELECT_ALL)
		return nt_fault_set(fault, -EINVAL, "%s: select: expected 0 to %d, found %u", interface, NT_SELECT_ALL, select);
	made = calloc(1, sizeof(*made));
	nt_flow_keys_describe(&selection, select, flows, flow_count, interface);
	if (!made || make_tables(&made->tables, &selection)) {
		nt_selector_destroy(made);
		return nt_fault_set(fault, -ENOMEM, "%s: no memory for %u flows", interface, flow_count);
	}
	made->options = selection.options;
	error = nt_flow_keys_enter(flows, flow_count, interface, enter, &made->tables, fault);
	if (error) {
		nt_selector_destroy(made);
		return error;
	}
	*selector = made;
	return 0;
}

void nt_selector_destroy(struct nt_selector *selector)
{
	if (!selector)
		return;
	free(selector->tables.places4);
	free(selector->tables.places6);
	free(selector);
}

struct nt_judgement nt_selector_judge(const struct nt_selector *selector, enum nt_link link, const uint8_t *frame,
				      uint32_t capture_length)
{
	uint32_t judged = nt_judge(&selector->tables, &selector->options, link, frame, frame + capture_length);
	bool unparsed = judged == NT_JUDGED_UNPARSED;
	bool out = judged == NT_JUDGED_OUT;

	return (struct nt_judgement){
		.flow_id = unparsed || out ? NT_FLOW_OTHER : judged,
		.selected = !out || selector->options.select == NT_SELECT_ALL,
		.unparsed = unparsed,
	};
}
