/* SPDX-License-Identifier: Apache-2.0 */
#include "labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 64u

static inline uint32_t hash_of(const struct nt_label *label)
{
	uint64_t hash = (label->low ^ label->kind) * 0x9E3779B97F4A7C15ull;

	hash = (hash ^ (hash >> 32) ^ label->high) * 0xC2B2AE3D27D4EB4Full;
	return (uint32_t)(hash >> 32);
}

static inline bool is_same(const struct nt_label *one, const struct nt_label *other)
{
	return one->low == other->low && one->high == other->high && one->kind == other->kind;
}

int nt_labels_init(struct nt_labels *labels)
{
	memset(labels, 0, sizeof(*labels));
	labels->labels = calloc(CAPACITY_FIRST, sizeof(*labels->labels));
	labels->slots = calloc((size_t)2 * CAPACITY_FIRST, sizeof(*labels->slots));
	labels->capacity = CAPACITY_FIRST;
	if (!labels->labels || !labels->slots) {
		nt_labels_free(labels);
		return -ENOMEM;
	}
	return 0;
}

void nt_labels_free(struct nt_labels *labels)
{
	free(labels->labels);
	free(labels->slots);
	memset(labels, 0, sizeof(*labels));
}

static int grow(struct nt_labels *labels)
{
	uint32_t capacity = labels->capacity * 2, mask = 2 * capacity - 1;
	uint32_t *slots = calloc((size_t)2 * capacity, sizeof(*slots));
	struct nt_label *known = slots ? realloc(labels->labels, (size_t)capacity * sizeof(*known)) : NULL;

	if (!known) {
		free(slots);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < labels->count; i++) {
		uint32_t at = hash_of(&known[i]) & mask;

		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = i + 1;
	}
	free(labels->slots);
	labels->labels = known;
	labels->slots = slots;
	labels->capacity = capacity;
	return 0;
}

int32_t nt_label_index(struct nt_labels *labels, const struct nt_label *label)
{
	uint32_t mask = 2 * labels->capacity - 1, at = hash_of(label) & mask;

	if (label->kind == NT_LABEL_NONE)
		return -1;
	for (; labels->slots[at]; at = (at + 1) & mask)
		if (is_same(&labels->labels[labels->slots[at] - 1], label))
			return (int32_t)labels->slots[at] - 1;
	if (labels->count == NT_LABELS_MAX)
		return -1;
	if (labels->count == labels->capacity)
		return grow(labels) ? -1 : nt_label_index(labels, label);
	labels->labels[labels->count] = *label;
	labels->slots[at] = ++labels->count;
	return (int32_t)labels->count - 1;
}
