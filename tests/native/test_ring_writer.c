/* SPDX-License-Identifier: Apache-2.0 */
/* The writer at its boundaries. The ring here: 64 KiB, batches and granules of 4 KiB, records of 2 KiB at most. */
#include "ring_fixture.h"

static const struct nt_record *record_at(const struct fixture *f, uint64_t position)
{
	return (const struct nt_record *)(f->ring.data + (position & (f->ring.capacity - 1)));
}

static void a_small_ring_has_limits_that_follow_from_its_capacity(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->ring.max_batch_bytes, 4096);
	assert_int_equal(f->ring.max_record_bytes, 2048);
	assert_int_equal(f->ring.granule_bytes, 4096);
	assert_int_equal(f->ring.index_entries, 16);
}

static void reserve_announces_the_batch_before_a_byte_of_it_is_written(void **state)
{
	struct fixture *f = *state;
	uint32_t lengths[] = {49, 64, 65};

	assert_int_equal(nt_writer_reserve(&f->writer, lengths, 3), 3);
	assert_int_equal(f->ring.positions->tail_intent, 56 + 64 + 72);
	assert_int_equal(f->ring.positions->tail, 0);
	assert_int_equal(record_at(f, 0)->length, 0);
}

static void a_batch_that_is_not_published_is_not_seen(void **state)
{
	struct fixture *f = *state;
	uint32_t length = SPAN;

	nt_writer_reserve(&f->writer, &length, 1);
	record_fill(nt_writer_next(&f->writer, length));
	expect_none(&f->reader);
	nt_writer_publish(&f->writer);
	expect_record(&f->reader, 1, 0);
	expect_none(&f->reader);
}

static void a_record_that_fits_exactly_before_the_end_gets_no_padding(void **state)
{
	struct fixture *f = *state;

	place(f, f->ring.capacity - 1024, 1);
	put(&f->writer, 1024);
	assert_int_equal(f->ring.positions->tail, f->ring.capacity);
	assert_int_equal(f->ring.positions->tail_intent, f->ring.capacity);
	put(&f->writer, SPAN);
	assert_int_equal(record_at(f, 0)->ring_seq, 2);
	expect_record(&f->reader, 1, 0);
	expect_record(&f->reader, 2, 0);
}

static void a_record_that_does_not_fit_leaves_padding_of_eight_bytes_at_least(void **state)
{
	struct fixture *f = *state;

	for (uint64_t gap = 8; gap < 1024; gap += 8) {
		uint64_t end = (gap / 8 + 1) * f->ring.capacity;

		place(f, end - gap, gap);
		put(&f->writer, 1024);
		assert_int_equal(record_at(f, end - gap)->length, gap);
		assert_int_equal(record_at(f, end - gap)->flags, NT_RECORD_PADDING);
		assert_int_equal(f->ring.positions->tail, end + 1024);
		expect_record(&f->reader, gap, 0);
		expect_none(&f->reader);
	}
}

static void the_padding_counts_in_the_batch(void **state)
{
	struct fixture *f = *state;
	uint32_t lengths[] = {1024, 2048, 1024};

	/* 1024 of the first, 2040 of padding: then 2048 does not fit into 4096 any more. */
	place(f, f->ring.capacity - 1024 - 2040, 1);
	assert_int_equal(nt_writer_reserve(&f->writer, lengths, 3), 1);
	record_fill(nt_writer_next(&f->writer, 1024));
	nt_writer_publish(&f->writer);
	assert_int_equal(nt_writer_reserve(&f->writer, lengths + 1, 2), 1);
	assert_int_equal(f->ring.positions->tail_intent, f->ring.capacity + 2048);
	record_fill(nt_writer_next(&f->writer, 2048));
	nt_writer_publish(&f->writer);
	expect_record(&f->reader, 1, 0);
	expect_record(&f->reader, 2, 0);
}

static void the_largest_record_fits_everywhere_and_one_byte_more_nowhere(void **state)
{
	struct fixture *f = *state;
	uint32_t largest = (uint32_t)f->ring.max_record_bytes;
	uint32_t larger = largest + 1;

	for (uint64_t before_end = 8; before_end <= 4096; before_end += 8) {
		place(f, before_end * f->ring.capacity - before_end, 1);
		assert_int_equal(nt_writer_reserve(&f->writer, &larger, 1), 0);
		assert_int_equal(f->ring.positions->tail_intent, f->ring.positions->tail);
		put(&f->writer, largest);
		expect_record(&f->reader, 1, 0);
	}
}

static void a_batch_is_cut_at_its_largest_size(void **state)
{
	struct fixture *f = *state;
	uint32_t lengths[65];

	for (uint32_t i = 0; i < 65; i++)
		lengths[i] = SPAN;
	assert_int_equal(nt_writer_reserve(&f->writer, lengths, 65), 64);
	assert_int_equal(f->ring.positions->tail_intent, 4096);
}

static void what_was_announced_and_not_written_is_covered_with_padding(void **state)
{
	struct fixture *f = *state;
	uint32_t lengths[] = {SPAN, SPAN, SPAN};

	place(f, f->ring.capacity - 2 * SPAN, 1);
	nt_writer_reserve(&f->writer, lengths, 3);
	record_fill(nt_writer_next(&f->writer, SPAN));
	nt_writer_publish(&f->writer);
	assert_int_equal(f->ring.positions->tail, f->ring.capacity + SPAN);
	put(&f->writer, SPAN);
	expect_record(&f->reader, 1, 0);
	expect_record(&f->reader, 2, 0);
}

static void the_index_names_the_first_record_of_each_granule_once_it_is_published(void **state)
{
	struct fixture *f = *state;
	uint32_t lengths[] = {1000, 1000, 1000};

	put_many(&f->writer, 1000, 3);
	assert_int_equal(f->ring.index[0], 0);
	nt_writer_reserve(&f->writer, lengths, 3);
	for (int i = 0; i < 3; i++)
		record_fill(nt_writer_next(&f->writer, 1000));
	assert_true(f->ring.index[1] == NT_RING_INDEX_EMPTY);
	nt_writer_publish(&f->writer);
	assert_int_equal(f->ring.index[0], 0);
	assert_int_equal(f->ring.index[1], 5000);
}

static void padding_never_stands_in_the_index(void **state)
{
	struct fixture *f = *state;

	place(f, 2 * f->ring.capacity - 4096, 1);
	put(&f->writer, 2048);
	put(&f->writer, 2040);
	put(&f->writer, 2048); /* 8 bytes of padding, then the next granule */
	assert_int_equal(f->ring.index[15], 2 * f->ring.capacity - 4096);
	assert_int_equal(f->ring.index[0], 2 * f->ring.capacity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_small_ring_has_limits_that_follow_from_its_capacity),
		RING_TEST(reserve_announces_the_batch_before_a_byte_of_it_is_written),
		RING_TEST(a_batch_that_is_not_published_is_not_seen),
		RING_TEST(a_record_that_fits_exactly_before_the_end_gets_no_padding),
		RING_TEST(a_record_that_does_not_fit_leaves_padding_of_eight_bytes_at_least),
		RING_TEST(the_padding_counts_in_the_batch),
		RING_TEST(the_largest_record_fits_everywhere_and_one_byte_more_nowhere),
		RING_TEST(a_batch_is_cut_at_its_largest_size),
		RING_TEST(what_was_announced_and_not_written_is_covered_with_padding),
		RING_TEST(the_index_names_the_first_record_of_each_granule_once_it_is_published),
		RING_TEST(padding_never_stands_in_the_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
