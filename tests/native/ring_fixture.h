/* SPDX-License-Identifier: Apache-2.0 */
/* A private ring with a writer, records whose every byte follows from their sequence, and counters set by hand. */
#ifndef NT_TEST_RING_FIXTURE_H
#define NT_TEST_RING_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../native/ring/reader.h"
#include "../../native/ring/writer.h"

#define SPAN 64u /* of the records that most tests use: it divides every granule, so their positions are easy to tell */

struct fixture {
	struct nt_ring ring;
	struct nt_writer writer;
	struct nt_reader reader;
	struct nt_fault fault;
};

static inline uint8_t byte_of(uint64_t seq, uint32_t i)
{
	return (uint8_t)(seq * 151 + seq / 251 + i * 7);
}

static inline void record_fill(struct nt_record *record)
{
	uint8_t *frame = (uint8_t *)(record + 1);

	record->flags = 0;
	record->source = 3;
	record->capture_length = record->length - NT_RECORD_HEADER_BYTES;
	record->wire_length = record->capture_length;
	record->ts_ns = (int64_t)(record->ring_seq * 1000);
	record->flow_seq = record->ring_seq;
	record->flow_id = 1;
	for (uint32_t i = 0; i < record->capture_length; i++)
		frame[i] = byte_of(record->ring_seq, i);
}

static inline bool record_intact(const struct nt_record *record)
{
	const uint8_t *frame = (const uint8_t *)(record + 1);

	if (record->ts_ns != (int64_t)(record->ring_seq * 1000) || record->flow_seq != record->ring_seq)
		return false;
	for (uint32_t i = 0; i < record->capture_length; i++)
		if (frame[i] != byte_of(record->ring_seq, i))
			return false;
	return true;
}

/* One batch of one record. */
static inline void put(struct nt_writer *writer, uint32_t length)
{
	assert_int_equal(nt_writer_reserve(writer, &length, 1), 1);
	record_fill(nt_writer_next(writer, length));
	nt_writer_publish(writer);
}

static inline void put_many(struct nt_writer *writer, uint32_t length, uint64_t count)
{
	while (count--)
		put(writer, length);
}

/* Begins the ring anew at any position, as if `seq - 1` records had gone through it. */
static inline void place(struct fixture *fixture, uint64_t position, uint64_t seq)
{
	struct nt_ring *ring = &fixture->ring;

	ring->positions->tail_intent = position;
	ring->positions->tail = position;
	ring->descriptor->epoch = 1;
	for (uint64_t i = 0; i < ring->index_entries; i++)
		ring->index[i] = NT_RING_INDEX_EMPTY;
	ring->epochs[1].first_position = position;
	ring->epochs[1].first_seq = seq;
	nt_writer_init(&fixture->writer, ring, seq);
	fixture->reader.chunk_bytes = 0;
	assert_int_equal(nt_reader_seek(&fixture->reader, NT_START_LATEST, 0), 0);
}

static inline void expect_record(struct nt_reader *reader, uint64_t seq, uint64_t lost_before)
{
	int error = -1;
	const struct nt_record *record = nt_reader_next(reader, &error);

	assert_int_equal(error, 0);
	assert_non_null(record);
	assert_int_equal(record->ring_seq, seq);
	assert_int_equal(reader->lost_before, lost_before);
	assert_true(record_intact(record));
}

static inline void expect_none(struct nt_reader *reader)
{
	int error = -1;

	assert_null(nt_reader_next(reader, &error));
	assert_int_equal(error, 0);
}

static inline void expect_damage(struct nt_reader *reader)
{
	int error = 0;

	assert_null(nt_reader_next(reader, &error));
	assert_int_equal(error, -EBADMSG);
}

static inline int fixture_begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	if (nt_ring_make_private(&fixture->ring, NT_RING_CAPACITY_MIN, &fixture->fault))
		return -1;
	nt_writer_init(&fixture->writer, &fixture->ring, 1);
	return nt_reader_init(&fixture->reader, &fixture->ring, NT_RESUME_QUARTER, &fixture->fault);
}

static inline int fixture_end(void **state)
{
	struct fixture *fixture = *state;

	nt_reader_free(&fixture->reader);
	nt_ring_close(&fixture->ring);
	free(fixture);
	return 0;
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

#endif
