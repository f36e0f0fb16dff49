/* SPDX-License-Identifier: Apache-2.0 */
/* The ring's tables: epochs, flows, sources. One writer appends, fields first and the count (release) last; any reader may look. */
#include "../atomic.h"
#include "../clock.h"
#include "ring.h"
#include "table.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The entry is taken out of the history (epoch 0) before its fields change: a reader that copies it sees that it changed
 * meanwhile. */
void nt_ring_epoch_begin(struct nt_ring *ring, uint64_t holder_id, uint64_t first_seq)
{
	uint64_t epoch = ring->descriptor->epoch + 1;
	struct nt_ring_epoch *entry = &ring->epochs[epoch % NT_RING_EPOCHS];
	int64_t tai_offset = nt_clock_ns(CLOCK_TAI) - nt_clock_ns(CLOCK_REALTIME);

	nt_store_relaxed(&entry->epoch, 0);
	nt_fence_release();
	entry->first_seq = first_seq;
	entry->first_position = ring->positions->tail;
	entry->attached_ns = nt_clock_ns(CLOCK_REALTIME);
	entry->holder_id = holder_id;
	entry->writer_pid = (uint32_t)getpid();
	entry->clock_domain = NT_CLOCK_UTC;
	/* Whole seconds: the two clocks were read one after the other. */
	entry->tai_offset_ns = (tai_offset + 500000000) / 1000000000 * 1000000000;
	nt_store_release(&entry->epoch, epoch);
	__atomic_store_n(&ring->descriptor->writer_pid, (uint32_t)getpid(), __ATOMIC_RELAXED);
	nt_store_release(&ring->descriptor->epoch, epoch);
}

int nt_ring_epoch_read(const struct nt_ring *ring, uint64_t epoch, struct nt_ring_epoch *copy)
{
	const struct nt_ring_epoch *entry = &ring->epochs[epoch % NT_RING_EPOCHS];

	if (!epoch || nt_load_acquire(&entry->epoch) != epoch)
		return -ENOENT;
	*copy = *entry;
	nt_fence_acquire();
	if (nt_load_relaxed(&entry->epoch) != epoch)
		return -ENOENT;
	return 0;
}

uint64_t nt_ring_epoch_of(const struct nt_ring *ring, uint64_t ring_seq)
{
	uint64_t newest = nt_ring_epoch(ring);

	for (uint64_t age = 0; age < NT_RING_EPOCHS && age < newest; age++) {
		struct nt_ring_epoch entry;

		if (nt_ring_epoch_read(ring, newest - age, &entry))
			return 0;
		if (entry.first_seq <= ring_seq)
			return entry.epoch;
	}
	return 0;
}

uint64_t nt_ring_epoch(const struct nt_ring *ring)
{
	return nt_load_acquire(&ring->descriptor->epoch);
}

/* What follows a text's NUL is no part of it, nor is the id: two flows are equal when all that names them is. */
static void flow_normalize(struct nt_flow *flow)
{
	struct {
		char *text;
		size_t bytes;
	} const texts[] = {
		{flow->interface, sizeof(flow->interface)}, {flow->feed, sizeof(flow->feed)},
		{flow->channel, sizeof(flow->channel)},     {flow->line, sizeof(flow->line)},
		{flow->framing, sizeof(flow->framing)},     {flow->role, sizeof(flow->role)},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t used = strnlen(texts[i].text, texts[i].bytes - 1);

		memset(texts[i].text + used, 0, texts[i].bytes - used);
	}
	flow->reserved0 = 0;
	flow->reserved1 = 0;
	memset(flow->reserved2, 0, sizeof(flow->reserved2));
}

int nt_ring_flow_id(struct nt_ring *ring, const struct nt_flow *flow, uint32_t *id, struct nt_fault *fault)
{
	uint64_t count = nt_ring_flow_count(ring);
	struct nt_flow wanted = *flow;

	flow_normalize(&wanted);
	if (wanted.id && wanted.id <= count && !memcmp(&ring->flows[wanted.id - 1], &wanted, sizeof(wanted))) {
		*id = wanted.id;
		return 0;
	}
	for (uint64_t i = 0; i < count; i++) {
		wanted.id = (uint32_t)i + 1;
		if (!memcmp(&ring->flows[i], &wanted, sizeof(wanted))) {
			*id = wanted.id;
			return 0;
		}
	}
	if (count >= NT_RING_FLOWS_MAX)
		return nt_fault_set(
			fault, -ENOSPC,
			"ring %s: its flow table is full: %u flows, none is ever reused; stop its readers and remove it with"
			" `nanotape rings --remove %s`",
			ring->descriptor->name, NT_RING_FLOWS_MAX, ring->descriptor->name);
	wanted.id = (uint32_t)count + 1;
	ring->flows[count] = wanted;
	nt_store_release(&ring->descriptor->flow_count, count + 1);
	*id = wanted.id;
	return 0;
}

uint64_t nt_ring_flow_count(const struct nt_ring *ring)
{
	uint64_t count = nt_load_acquire(&ring->descriptor->flow_count);

	return count < NT_RING_FLOWS_MAX ? count : NT_RING_FLOWS_MAX;
}

static bool source_matches(const struct nt_source_counters *entry, const char *name, const char *interface, uint32_t kind,
			   uint32_t queue)
{
	return !strncmp(entry->name, name, sizeof(entry->name) - 1) && entry->kind == kind && entry->queue == queue &&
	       !strncmp(entry->interface, interface, sizeof(entry->interface) - 1);
}

int nt_ring_source_slot(struct nt_ring *ring, const char *name, const char *interface, uint32_t kind, uint32_t queue,
			uint32_t *slot, struct nt_fault *fault)
{
	uint64_t count = nt_ring_source_count(ring);
	struct nt_source_counters *entry;

	for (uint32_t i = 0; i < count; i++) {
		if (source_matches(&ring->sources[i], name, interface, kind, queue)) {
			*slot = i;
			return 0;
		}
	}
	if (count >= NT_RING_SOURCES_MAX)
		return nt_fault_set(
			fault, -ENOSPC,
			"ring %s: its source table is full: %u sources, none is ever reused; stop its readers and remove it with"
			" `nanotape rings --remove %s`",
			ring->descriptor->name, NT_RING_SOURCES_MAX, ring->descriptor->name);
	entry = &ring->sources[count];
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->name, name, strnlen(name, sizeof(entry->name) - 1));
	memcpy(entry->interface, interface, strnlen(interface, sizeof(entry->interface) - 1));
	entry->kind = kind;
	entry->queue = queue;
	nt_store_release(&ring->descriptor->source_count, count + 1);
	*slot = (uint32_t)count;
	return 0;
}

uint64_t nt_ring_source_count(const struct nt_ring *ring)
{
	uint64_t count = nt_load_acquire(&ring->descriptor->source_count);

	return count < NT_RING_SOURCES_MAX ? count : NT_RING_SOURCES_MAX;
}

static void copy_words(void *to, const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word = nt_load_relaxed((const uint64_t *)((const uint8_t *)from + i));

		memcpy((uint8_t *)to + i, &word, sizeof(word));
	}
}

/* What the loop did comes first, so that what lies upstream of it is never the older of the two copies. */
int nt_ring_source_read(const struct nt_ring *ring, uint32_t slot, struct nt_source_counters *copy)
{
	const struct nt_source_counters *from;

	if (slot >= nt_ring_source_count(ring))
		return -ENOENT;
	from = &ring->sources[slot];
	copy_words(&copy->loop, &from->loop, sizeof(copy->loop));
	nt_fence_acquire();
	copy_words(copy, from, offsetof(struct nt_source_counters, loop));
	copy_words(copy->reserved2, from->reserved2, sizeof(copy->reserved2));
	return 0;
}

uint64_t nt_ring_tail(const struct nt_ring *ring)
{
	return nt_load_acquire(&ring->positions->tail);
}

uint64_t nt_ring_tail_intent(const struct nt_ring *ring)
{
	return nt_load_relaxed(&ring->positions->tail_intent);
}

uint32_t nt_ring_writer_pid(const struct nt_ring *ring)
{
	return __atomic_load_n(&ring->descriptor->writer_pid, __ATOMIC_RELAXED);
}
