/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and offsets of a ring, and the ring on the heap, which has no more than these. */
#include "../clock.h"
#include "shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define PAGE_BYTES 4096u

uint64_t nt_shape_capacity(uint64_t capacity, uint32_t page_bytes_log2)
{
	uint64_t rounded = NT_RING_CAPACITY_MIN;

	if (!capacity || capacity > NT_RING_CAPACITY_MAX)
		return 0;
	while (rounded < capacity || rounded < 1ull << page_bytes_log2)
		rounded <<= 1;
	return rounded;
}

void nt_shape_fill(struct nt_ring_descriptor *descriptor, uint64_t capacity)
{
	uint64_t sixteenth = capacity / NT_RING_BATCHES_MIN;
	uint64_t batch = sixteenth < NT_RING_BATCH_MAX ? sixteenth : NT_RING_BATCH_MAX;
	uint64_t end;

	descriptor->layout_version = NT_RING_LAYOUT_VERSION;
	descriptor->capacity = capacity;
	descriptor->max_batch_bytes = batch;
	/* Half a batch: the largest record and the padding before it still make one batch. */
	descriptor->max_record_bytes = batch / 2 < NT_RING_RECORD_MAX ? batch / 2 : NT_RING_RECORD_MAX;
	/* Not smaller than a batch, so that a batch touches two granules at most. */
	descriptor->granule_bytes = sixteenth < NT_RING_GRANULE_MAX ? sixteenth : NT_RING_GRANULE_MAX;
	descriptor->index_entries = capacity / descriptor->granule_bytes;
	descriptor->positions_offset = sizeof(*descriptor);
	descriptor->epochs_offset = descriptor->positions_offset + PAGE_BYTES;
	descriptor->flows_offset = descriptor->epochs_offset + NT_RING_EPOCHS * sizeof(struct nt_ring_epoch);
	descriptor->sources_offset = descriptor->flows_offset + NT_RING_FLOWS_MAX * sizeof(struct nt_flow);
	descriptor->index_offset = descriptor->sources_offset + NT_RING_SOURCES_MAX * sizeof(struct nt_source_counters);
	end = descriptor->index_offset + descriptor->index_entries * sizeof(uint64_t);
	descriptor->descriptor_bytes = (end + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

_Static_assert(NT_RING_BATCH_MAX <= NT_RING_GRANULE_MAX, "a batch touches two granules at most");

static bool is_terminated(const char *text, size_t bytes)
{
	return strnlen(text, bytes) < bytes;
}

static bool has_shape(const struct nt_ring_descriptor *found, uint64_t file_bytes)
{
	struct nt_ring_descriptor expected = *found;

	if (found->capacity < NT_RING_CAPACITY_MIN || nt_shape_capacity(found->capacity, 0) != found->capacity)
		return false;
	nt_shape_fill(&expected, found->capacity);
	return !memcmp(&expected, found, sizeof(expected)) && file_bytes == found->descriptor_bytes &&
	       found->memory_kind <= NT_MEMORY_HUGE_1G && is_terminated(found->name, sizeof(found->name)) &&
	       is_terminated(found->host, sizeof(found->host)) && is_terminated(found->data_path, sizeof(found->data_path)) &&
	       is_terminated(found->fallback_reason, sizeof(found->fallback_reason));
}

int nt_shape_check(const struct nt_ring_descriptor *found, uint64_t file_bytes, const char *path, struct nt_fault *fault)
{
	int name_bytes = (int)strnlen(found->name, sizeof(found->name));

	if (!found->magic)
		return nt_fault_set(fault, -EAGAIN, "%s: the ring is still being made, or its maker died; start its capture", path);
	if (found->magic != NT_RING_MAGIC)
		return nt_fault_set(fault, -EBADMSG, "%s: not a ring: magic %016llx expected, %016llx found", path,
				    (unsigned long long)NT_RING_MAGIC, (unsigned long long)found->magic);
	if (found->layout_version != NT_RING_LAYOUT_VERSION)
		return nt_fault_set(
			fault, -EPROTO,
			"%s: ring layout version %u expected, %u found: it was made by another version of nanotape; stop that one"
			" and remove the ring with `nanotape rings --remove %.*s`",
			path, NT_RING_LAYOUT_VERSION, found->layout_version, name_bytes, found->name);
	if (!has_shape(found, file_bytes))
		return nt_fault_set(
			fault, -EBADMSG,
			"%s: the ring's descriptor is damaged: sizes of a ring of %llu bytes expected, others found; stop its"
			" readers and remove it with `nanotape rings --remove %.*s`",
			path, (unsigned long long)found->capacity, name_bytes, found->name);
	return 0;
}

void nt_shape_bind(struct nt_ring *ring, const struct nt_ring_descriptor *checked, void *file, void *data)
{
	uint8_t *base = file;

	ring->descriptor = file;
	ring->positions = (struct nt_ring_positions *)(base + checked->positions_offset);
	ring->epochs = (struct nt_ring_epoch *)(base + checked->epochs_offset);
	ring->flows = (struct nt_flow *)(base + checked->flows_offset);
	ring->sources = (struct nt_source_counters *)(base + checked->sources_offset);
	ring->index = (uint64_t *)(base + checked->index_offset);
	ring->data = data;
	ring->capacity = checked->capacity;
	ring->granule_bytes = checked->granule_bytes;
	ring->granule_log2 = (uint32_t)__builtin_ctzll(checked->granule_bytes);
	ring->index_entries = checked->index_entries;
	ring->max_record_bytes = checked->max_record_bytes;
	ring->max_batch_bytes = checked->max_batch_bytes;
	ring->descriptor_bytes = checked->descriptor_bytes;
	ring->data_bytes = checked->capacity;
}

void nt_shape_initialize(struct nt_ring *ring)
{
	struct nt_ring_descriptor *descriptor = ring->descriptor;

	while (getrandom(descriptor->ring_id, sizeof(descriptor->ring_id), 0) != (ssize_t)sizeof(descriptor->ring_id))
		; /* so few bytes come whole, unless a signal interrupts the wait of early boot */
	descriptor->created_ns = nt_clock_ns(CLOCK_REALTIME);
	gethostname(descriptor->host, sizeof(descriptor->host) - 1);
	for (uint64_t i = 0; i < ring->index_entries; i++)
		ring->index[i] = NT_RING_INDEX_EMPTY;
}

int nt_ring_make_private(struct nt_ring *ring, uint64_t capacity, struct nt_fault *fault)
{
	struct nt_ring_descriptor shape = {.magic = NT_RING_MAGIC, .page_bytes_log2 = 12, .name = "private"};
	uint64_t rounded = nt_shape_capacity(capacity, 0);
	uint64_t next_seq;
	void *file;
	void *data;

	*ring = (struct nt_ring){.lock_fd = -1, .private_memory = true};
	if (!rounded)
		return nt_fault_set(fault, -EINVAL, "a ring of %llu bytes: 1 to %llu expected", (unsigned long long)capacity,
				    (unsigned long long)NT_RING_CAPACITY_MAX);
	nt_shape_fill(&shape, rounded);
	file = aligned_alloc(PAGE_BYTES, shape.descriptor_bytes);
	data = aligned_alloc(PAGE_BYTES, rounded);
	if (!file || !data) {
		free(file);
		free(data);
		return nt_fault_set(fault, -ENOMEM, "a private ring: no memory for %llu bytes", (unsigned long long)rounded);
	}
	memset(file, 0, shape.descriptor_bytes);
	memset(data, 0, rounded);
	memcpy(file, &shape, sizeof(shape));
	nt_shape_bind(ring, &shape, file, data);
	nt_shape_initialize(ring);
	return nt_ring_restart(ring, 0, &next_seq, fault);
}
