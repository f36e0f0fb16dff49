/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a place in the ring by its index. An entry is only a hint: what it names is copied and validated like everything else. */
#include "../atomic.h"
#include "chunk.h"
#include "seek.h"

#include <errno.h>

#define SEEK_ATTEMPTS 16u

struct start { /* a position at which a record (or padding) begins, and the sequence that comes next there */
	uint64_t position;
	uint64_t seq;
};

static uint64_t index_entry(const struct nt_ring *ring, uint64_t granule)
{
	uint64_t entry = nt_load_acquire(&ring->index[granule & (ring->index_entries - 1)]); /* H, pairs with G */

	return entry / ring->granule_bytes == granule && !(entry % NT_RING_ALIGNMENT) ? entry : NT_RING_INDEX_EMPTY;
}

/* Lowest position that was intact just now. */
static uint64_t oldest_position(const struct nt_ring *ring)
{
	uint64_t intent = nt_load_relaxed(&ring->positions->tail_intent);

	return intent > ring->capacity ? intent - ring->capacity : 0;
}

static int start_at_entry(const struct nt_reader *reader, uint64_t entry, struct start *start)
{
	struct nt_record header;
	int result = nt_chunk_probe(reader, entry, &header);

	*start = (struct start){.position = entry, .seq = header.ring_seq};
	return result;
}

/* The first entry at or after `target`; -ENOENT when there is none. */
static int first_entry_from(const struct nt_reader *reader, uint64_t target, struct start *start)
{
	const struct nt_ring *ring = reader->ring;
	uint64_t newest = nt_load_acquire(&ring->positions->tail) / ring->granule_bytes;

	for (uint64_t granule = target / ring->granule_bytes; granule <= newest; granule++) {
		uint64_t entry = index_entry(ring, granule);
		int result;

		if (entry == NT_RING_INDEX_EMPTY || entry < target)
			continue;
		result = start_at_entry(reader, entry, start);
		if (result != -ESTALE)
			return result;
	}
	return -ENOENT;
}

/* The newest entry whose record's sequence is at most `sequence`; -ENOENT when no intact one is. */
static int last_entry_until(const struct nt_reader *reader, uint64_t sequence, struct start *start)
{
	const struct nt_ring *ring = reader->ring;
	uint64_t granule = nt_load_acquire(&ring->positions->tail) / ring->granule_bytes;

	for (uint64_t i = 0; i <= ring->index_entries && i <= granule; i++) {
		uint64_t entry = index_entry(ring, granule - i);
		int result;

		if (entry == NT_RING_INDEX_EMPTY)
			continue;
		result = start_at_entry(reader, entry, start);
		if (result == -ESTALE)
			return -ENOENT; /* so is everything older */
		if (result || start->seq <= sequence)
			return result;
	}
	return -ENOENT;
}

/* Where the newest writer began, if that is intact: needed while the index names nothing, as after a death before its first
 * entry. */
static int start_of_epoch(const struct nt_reader *reader, struct start *start)
{
	struct nt_ring_epoch entry;

	if (nt_ring_epoch_read(reader->ring, nt_ring_epoch(reader->ring), &entry) ||
	    nt_chunk_overtaken(reader, entry.first_position))
		return -ENOENT;
	*start = (struct start){.position = entry.first_position, .seq = entry.first_seq};
	return 0;
}

static int newest_start(const struct nt_reader *reader, uint64_t sequence, struct start *start)
{
	struct start epoch;
	int result = last_entry_until(reader, sequence, start);

	if (result && result != -ENOENT)
		return result;
	if (!start_of_epoch(reader, &epoch) && epoch.seq <= sequence && (result || epoch.position > start->position)) {
		*start = epoch;
		return 0;
	}
	if (result && !oldest_position(reader->ring)) {
		*start = (struct start){.position = 0, .seq = 1};
		return 0;
	}
	return result;
}

static int oldest_start(const struct nt_reader *reader, uint64_t target, struct start *start)
{
	int result;

	if (!target) {
		*start = (struct start){.position = 0, .seq = 1};
		return 0;
	}
	result = first_entry_from(reader, target, start);
	return result == -ENOENT ? newest_start(reader, UINT64_MAX, start) : result;
}

/* Goes on from `start` until `position` or before `sequence`, whichever comes first. */
static int walk(struct nt_reader *reader, const struct start *start, uint64_t position, uint64_t sequence)
{
	reader->position = start->position;
	reader->next_seq = start->seq;
	while ((int64_t)(position - reader->position) > 0 && reader->next_seq != sequence) {
		const struct nt_record *record;
		int result = nt_chunk_peek(reader, &record);

		if (result <= 0)
			return result;
		if (record->ring_seq != reader->next_seq)
			return -EBADMSG;
		reader->position += nt_record_span(record->length);
		reader->next_seq++;
	}
	return 0;
}

static int seek_latest(struct nt_reader *reader)
{
	struct start start;
	int result = newest_start(reader, UINT64_MAX, &start);

	return result ? result : walk(reader, &start, nt_load_acquire(&reader->ring->positions->tail), UINT64_MAX);
}

static int seek_oldest(struct nt_reader *reader)
{
	struct start start;
	int result = oldest_start(reader, oldest_position(reader->ring), &start);

	if (!result) {
		reader->position = start.position;
		reader->next_seq = start.seq;
	}
	return result;
}

static int seek_sequence(struct nt_reader *reader, uint64_t sequence)
{
	struct start start;
	int result = seek_latest(reader);

	if (result)
		return result;
	if (!sequence || sequence > reader->next_seq)
		return -ERANGE;
	if (sequence == reader->next_seq)
		return 0;
	result = newest_start(reader, sequence, &start);
	if (!result)
		return walk(reader, &start, nt_load_acquire(&reader->ring->positions->tail), sequence);
	if (result != -ENOENT)
		return result;
	result = seek_oldest(reader);
	if (!result && reader->next_seq < sequence)
		return -ESTALE;
	reader->next_seq = sequence;
	reader->pending_loss = 1;
	return result;
}

int nt_reader_seek(struct nt_reader *reader, enum nt_reader_start start, uint64_t sequence)
{
	struct nt_reader before = *reader;
	int result = -ESTALE;

	for (uint32_t attempt = 0; attempt < SEEK_ATTEMPTS && (result == -ESTALE || result == -ENOENT); attempt++) {
		reader->pending_loss = 0;
		if (start == NT_START_LATEST)
			result = seek_latest(reader);
		else if (start == NT_START_OLDEST)
			result = seek_oldest(reader);
		else if (start == NT_START_SEQUENCE)
			result = seek_sequence(reader, sequence);
		else
			result = -EINVAL;
	}
	if (result) {
		*reader = before;
		reader->chunk_bytes = 0;
		return result == -ESTALE || result == -ENOENT ? -EAGAIN : result;
	}
	reader->lost_before = 0;
	return 0;
}

int nt_reader_resume_after(struct nt_reader *reader, enum nt_reader_resume resume)
{
	uint64_t expected = reader->next_seq;
	uint64_t overtaken = reader->position;
	uint64_t target = oldest_position(reader->ring);
	struct start start = {0};
	int result;

	if (resume == NT_RESUME_LATEST) {
		result = seek_latest(reader);
	} else {
		result = oldest_start(reader, target + (resume == NT_RESUME_QUARTER ? reader->ring->capacity / 4 : 0), &start);
		reader->position = start.position;
	}
	reader->next_seq = expected;
	reader->pending_loss = 1;
	if (result)
		reader->position = overtaken;
	return result == -ENOENT ? -ESTALE : result;
}
