/* SPDX-License-Identifier: Apache-2.0 */
/* Copy, then check that it was not overwritten, then parse: in this order only. The letters are those of PROTOCOL.md. */
#include "chunk.h"
#include "../atomic.h"

#include <errno.h>
#include <string.h>

#ifdef NT_TEST_HOOKS
void (*nt_chunk_test_hook)(const struct nt_reader *reader);
#define CHUNK_TEST_HOOK(reader) (nt_chunk_test_hook ? nt_chunk_test_hook(reader) : (void)0)
#else
#define CHUNK_TEST_HOOK(reader) ((void)0)
#endif

bool nt_chunk_overtaken(const struct nt_reader *reader, uint64_t position)
{
	nt_fence_acquire(); /* E, pairs with B */
#ifdef NT_BREAK_RECHECK     /* negative control of the tests */
	(void)reader;
	(void)position;
	return false;
#else
	return nt_load_relaxed(&reader->ring->positions->tail_intent) - position > reader->ring->capacity; /* F */
#endif
}

bool nt_record_plausible(const struct nt_ring *ring, const struct nt_record *record)
{
	uint32_t beside_frame = nt_record_bytes_beside_frame(record->flags);

	return record->length >= beside_frame && record->length <= ring->max_record_bytes &&
	       record->capture_length == record->length - beside_frame && record->ring_seq != 0 &&
	       !(record->flags & NT_RECORD_PADDING);
}

int nt_chunk_probe(const struct nt_reader *reader, uint64_t position, struct nt_record *header)
{
	const struct nt_ring *ring = reader->ring;
	uint64_t offset = position & (ring->capacity - 1);

	if (position % NT_RING_ALIGNMENT || ring->capacity - offset < sizeof(*header))
		return -EBADMSG;
	memcpy(header, ring->data + offset, sizeof(*header));
	if (nt_chunk_overtaken(reader, position))
		return -ESTALE;
	return nt_record_plausible(ring, header) ? 0 : -EBADMSG;
}

/* Makes the chunk begin at reader->position. Returns 1, 0 when nothing is published there yet, -ESTALE, -EBADMSG. */
static int chunk_fill(struct nt_reader *reader)
{
	const struct nt_ring *ring = reader->ring;
	uint64_t offset = reader->position & (ring->capacity - 1);
	uint64_t bytes = ring->capacity - offset;
	uint64_t published;

	reader->tail = nt_load_acquire(&ring->positions->tail); /* D, pairs with C */
	published = reader->tail - reader->position;
	reader->chunk_bytes = 0;
	if (!published)
		return 0;
	if ((int64_t)published < 0 || published % NT_RING_ALIGNMENT)
		return -EBADMSG;
	if (published > ring->capacity)
		return -ESTALE;
	bytes = bytes < published ? bytes : published;
	bytes = bytes < NT_RING_CHUNK_BYTES ? bytes : NT_RING_CHUNK_BYTES;
	memcpy(reader->chunk, ring->data + offset, bytes);
	CHUNK_TEST_HOOK(reader);
	if (nt_chunk_overtaken(reader, reader->position))
		return -ESTALE;
	reader->chunk_position = reader->position;
	reader->chunk_bytes = bytes;
	return 1;
}

/* Judges the record at reader->position, which lies in the chunk. Returns 1 and the record, 0 after padding or when the chunk
 * does not hold all of it, -EBADMSG. */
static int chunk_parse(struct nt_reader *reader, const struct nt_record **record)
{
	const struct nt_ring *ring = reader->ring;
	uint64_t used = reader->position - reader->chunk_position;
	const struct nt_record *here = (const struct nt_record *)(reader->chunk + used);
	uint64_t span = nt_record_span(here->length);
	uint64_t to_end = ring->capacity - (reader->position & (ring->capacity - 1));

	if (span < NT_RING_ALIGNMENT || span > to_end || span > reader->tail - reader->position)
		return -EBADMSG;
	if (here->flags & NT_RECORD_PADDING) {
		if (span != here->length)
			return -EBADMSG;
		reader->position += span; /* perhaps beyond the chunk */
		return 0;
	}
	if (here->length < NT_RECORD_HEADER_BYTES || here->length > ring->max_record_bytes)
		return -EBADMSG;
	if (span > reader->chunk_bytes - used) {
		reader->chunk_bytes = used; /* the rest comes with the next chunk, which begins here */
		return 0;
	}
	if (!nt_record_plausible(ring, here))
		return -EBADMSG;
	*record = here;
	return 1;
}

int nt_chunk_peek(struct nt_reader *reader, const struct nt_record **record)
{
	for (;;) {
		int result;

		if (reader->position - reader->chunk_position >= reader->chunk_bytes) {
			result = chunk_fill(reader);
			if (result <= 0)
				return result;
		}
		result = chunk_parse(reader, record);
		if (result)
			return result;
	}
}
