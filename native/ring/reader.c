/* SPDX-License-Identifier: Apache-2.0 */
/* A reader's books: which record comes next, and exactly how many did not. */
#include "reader.h"
#include "../atomic.h"
#include "chunk.h"
#include "seek.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESUME_ATTEMPTS 16u
#define RESUME_AS_ASKED 4u /* then a quarter on: the oldest record may be gone each time we arrive */

int nt_reader_init(struct nt_reader *reader, struct nt_ring *ring, enum nt_reader_resume resume, struct nt_fault *fault)
{
	int result;

	*reader = (struct nt_reader){.ring = ring, .resume = resume};
	reader->chunk = aligned_alloc(128, NT_RING_CHUNK_BYTES);
	if (!reader->chunk)
		return nt_fault_set(fault, -ENOMEM, "reader of ring %s: no memory for %u bytes", ring->descriptor->name,
				    NT_RING_CHUNK_BYTES);
	result = nt_reader_seek(reader, NT_START_LATEST, 0);
	if (result) {
		nt_reader_free(reader);
		return nt_fault_set(fault, result, "ring %s: its newest record cannot be found: %s", ring->descriptor->name,
				    result == -EBADMSG ? "its data are damaged; stop its writer and remove it" : strerror(-result));
	}
	return 0;
}

void nt_reader_free(struct nt_reader *reader)
{
	free(reader->chunk);
	reader->chunk = NULL;
}

/* As nt_chunk_peek, but goes on where the writer did not overtake. */
static int peek_intact(struct nt_reader *reader, const struct nt_record **record)
{
	int result = -ESTALE;

	for (uint32_t attempt = 0; attempt < RESUME_ATTEMPTS; attempt++) {
		result = nt_chunk_peek(reader, record);
		if (result != -ESTALE)
			return result;
		result = nt_reader_resume_after(reader, attempt < RESUME_AS_ASKED ? reader->resume : NT_RESUME_QUARTER);
		if (result && result != -ESTALE)
			return result;
	}
	return 0; /* the caller comes again */
}

const struct nt_record *nt_reader_next(struct nt_reader *reader, int *error)
{
	const struct nt_record *record = NULL;
	int result = peek_intact(reader, &record);
	uint64_t lost;

	if (error)
		*error = result < 0 ? result : 0;
	if (result <= 0)
		return NULL;
	lost = record->ring_seq - reader->next_seq;
	if (__builtin_expect(lost != 0, 0)) {
		/* Without an overtaking the sequence has no holes, and it never goes back. */
		if (!reader->pending_loss || record->ring_seq < reader->next_seq) {
			if (error)
				*error = -EBADMSG;
			return NULL;
		}
		reader->lost += lost;
		reader->loss_events++;
	}
	reader->lost_before = lost;
	reader->pending_loss = 0;
	reader->next_seq = record->ring_seq + 1;
	reader->records++;
	reader->position += nt_record_span(record->length);
	return record;
}

uint64_t nt_reader_lag_bytes(const struct nt_reader *reader)
{
	uint64_t tail = nt_load_relaxed(&reader->ring->positions->tail);

	return (int64_t)(tail - reader->position) > 0 ? tail - reader->position : 0;
}
