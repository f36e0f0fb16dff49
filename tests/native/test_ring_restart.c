/* SPDX-License-Identifier: Apache-2.0 */
/* A writer's death at each step of its protocol, made by stopping there; then the successor. */
#include "ring_fixture.h"

static void restart(struct fixture *f, uint64_t expected_seq)
{
	uint64_t next_seq = 0;

	assert_int_equal(nt_ring_restart(&f->ring, 7, &next_seq, &f->fault), 0);
	assert_int_equal(next_seq, expected_seq);
	assert_int_equal(f->ring.positions->tail, f->ring.positions->tail_intent);
	nt_writer_init(&f->writer, &f->ring, next_seq);
}

/* The successor's records follow, and both an old reader and a new one see one unbroken sequence. */
static void expect_unbroken(struct fixture *f, uint64_t next_seq)
{
	struct nt_reader late;

	restart(f, next_seq);
	put_many(&f->writer, 100, 3);
	while (f->reader.next_seq < next_seq + 3)
		expect_record(&f->reader, f->reader.next_seq, 0);
	expect_none(&f->reader);
	assert_int_equal(nt_reader_init(&late, &f->ring, NT_RESUME_QUARTER, &f->fault), 0);
	assert_int_equal(late.next_seq, next_seq + 3);
	assert_int_equal(nt_reader_seek(&late, NT_START_SEQUENCE, next_seq), 0);
	expect_record(&late, next_seq, 0);
	nt_reader_free(&late);
}

static void an_empty_ring_begins_at_one(void **state)
{
	struct fixture *f = *state;

	expect_unbroken(f, 1);
	assert_int_equal(nt_ring_epoch(&f->ring), 2);
}

static void death_after_the_announcement_is_covered_with_padding(void **state)
{
	struct fixture *f = *state;
	uint32_t lengths[] = {500, 600};

	put_many(&f->writer, 100, 10);
	nt_writer_reserve(&f->writer, lengths, 2);
	expect_unbroken(f, 11);
}

static void death_before_the_very_first_record_leaves_the_sequence_at_one(void **state)
{
	struct fixture *f = *state;
	uint32_t length = 500;

	nt_writer_reserve(&f->writer, &length, 1);
	memset(f->ring.data, 0xA5, 500);
	expect_unbroken(f, 1);
}

static void death_in_the_middle_of_the_payload_leaves_no_trace_of_it(void **state)
{
	struct fixture *f = *state;
	uint32_t lengths[] = {500, 600, 700};

	put_many(&f->writer, 100, 10);
	nt_writer_reserve(&f->writer, lengths, 3);
	record_fill(nt_writer_next(&f->writer, 500));
	nt_writer_next(&f->writer, 600)->capture_length = 12345;
	expect_unbroken(f, 11);
}

static void death_in_a_batch_across_the_end_of_the_buffer_is_covered_in_two(void **state)
{
	struct fixture *f = *state;
	uint32_t lengths[] = {500, 600, 700};

	for (uint64_t before_end = 8; before_end < 1800; before_end += 8) {
		place(f, 4 * f->ring.capacity - before_end - 104, 50);
		put(&f->writer, 100);
		nt_writer_reserve(&f->writer, lengths, 3);
		memset(f->ring.data, 0xA5, 100);
		expect_unbroken(f, 51);
	}
}

static void death_after_the_tail_and_before_the_index_only_leaves_an_entry_missing(void **state)
{
	struct fixture *f = *state;

	put_many(&f->writer, 1000, 5); /* the sixth is the first to begin in the second granule */
	f->writer.granule = 1;         /* so its entry is not stored */
	put(&f->writer, 1000);
	assert_true(f->ring.index[1] == NT_RING_INDEX_EMPTY);
	expect_unbroken(f, 7);
	assert_int_equal(f->ring.index[1], 5000);
}

static void death_before_the_first_entry_of_all_is_walked_from_the_epoch(void **state)
{
	struct fixture *f = *state;

	f->writer.granule = 0;
	put_many(&f->writer, 500, 3);
	assert_true(f->ring.index[0] == NT_RING_INDEX_EMPTY);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_LATEST, 0), 0);
	assert_int_equal(f->reader.next_seq, 4);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_OLDEST, 0), 0);
	expect_unbroken(f, 4);
	assert_int_equal(f->ring.index[0], 0);
}

static void death_in_the_middle_of_a_restart_is_one_more_restart(void **state)
{
	struct fixture *f = *state;
	uint32_t lengths[] = {500, 600};
	uint64_t epoch;

	put_many(&f->writer, 100, 10);
	nt_writer_reserve(&f->writer, lengths, 2);
	/* Padding written, tail not stored; then the epoch's entry taken out and half made. */
	memcpy(f->ring.data + f->writer.tail, &(struct nt_record){.length = 1104, .flags = NT_RECORD_PADDING}, 8);
	epoch = nt_ring_epoch(&f->ring);
	f->ring.epochs[epoch + 1] = (struct nt_ring_epoch){.first_seq = 99};
	expect_unbroken(f, 11);
	assert_int_equal(nt_ring_epoch_of(&f->ring, 11), epoch + 1);
	assert_int_equal(nt_ring_epoch_of(&f->ring, 10), epoch);
}

static void a_thousand_deaths_that_fill_the_ring_with_padding_keep_the_sequence(void **state)
{
	struct fixture *f = *state;
	uint32_t lengths[] = {2000, 2000};

	put_many(&f->writer, 100, 10);
	for (int i = 0; i < 1000; i++) {
		nt_writer_reserve(&f->writer, lengths, 2);
		restart(f, 11);
	}
	assert_true(f->ring.positions->tail > 10 * f->ring.capacity);
	put(&f->writer, 100);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_SEQUENCE, 11), 0);
	expect_record(&f->reader, 11, 0);
}

static void an_unusable_index_is_replaced_by_older_entries(void **state)
{
	struct fixture *f = *state;

	put_many(&f->writer, 1000, 12);
	f->ring.index[2] += 8; /* into the middle of a record */
	expect_unbroken(f, 13);
}

static void a_chain_that_leads_nowhere_is_refused(void **state)
{
	struct fixture *f = *state;
	uint64_t next_seq;

	put_many(&f->writer, 100, 10);
	((struct nt_record *)(f->ring.data + 104))->length = 5;
	assert_int_equal(nt_ring_restart(&f->ring, 0, &next_seq, &f->fault), -EBADMSG);
	assert_non_null(strstr(f->fault.text, "nanotape rings --remove"));
	assert_int_equal(nt_ring_epoch(&f->ring), 1);
}

static void a_chain_over_a_record_larger_than_the_largest_is_refused(void **state)
{
	struct fixture *f = *state;
	struct nt_record *first = (struct nt_record *)f->ring.data;
	uint64_t next_seq;

	put_many(&f->writer, 2048, 2);
	first->length = 4096; /* leads to the tail, and agrees with itself */
	first->capture_length = 4096 - NT_RECORD_HEADER_BYTES;
	assert_int_equal(nt_ring_restart(&f->ring, 0, &next_seq, &f->fault), -EBADMSG);
}

static void positions_that_no_writer_leaves_are_refused(void **state)
{
	static const uint64_t bad[][2] = {{1040, 1032}, {1040, 1044}, {1040, 1040 + 4096 + 8}, {1044, 1044}, {1040, 0}};
	struct fixture *f = *state;
	uint64_t next_seq;

	put_many(&f->writer, 100, 10); /* 1040 bytes */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f->ring.positions->tail = bad[i][0];
		f->ring.positions->tail_intent = bad[i][1];
		assert_int_equal(nt_ring_restart(&f->ring, 0, &next_seq, &f->fault), -EBADMSG);
	}
	f->ring.positions->tail = 1040;
	f->ring.positions->tail_intent = 1040 + 4096;
	assert_int_equal(nt_ring_restart(&f->ring, 0, &next_seq, &f->fault), 0);
}

struct seen {
	uint64_t first;
	uint64_t last;
	uint64_t count;
	uint64_t bytes;
};

static void see(const struct nt_record *record, void *context)
{
	struct seen *seen = context;

	if (!seen->count)
		seen->first = record->ring_seq;
	assert_int_equal(record->ring_seq, seen->first + seen->count);
	assert_true(record_intact(record));
	seen->last = record->ring_seq;
	seen->bytes += nt_record_span(record->length);
	seen->count++;
}

static void a_walk_over_the_recent_visits_at_least_what_was_asked_for_in_order(void **state)
{
	static const uint64_t asked[] = {0, 1, 64, 4096, 5000, 8192, 30000, 61440};
	struct fixture *f = *state;

	put_many(&f->writer, SPAN, 2500);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct seen seen = {0};

		assert_int_equal(nt_ring_walk_recent(&f->ring, asked[i], see, &seen), 0);
		assert_true(seen.bytes >= asked[i] && seen.bytes <= asked[i] + f->ring.granule_bytes);
		assert_int_equal(seen.count ? seen.last : 2500, 2500);
	}
}

static void a_walk_over_more_than_the_ring_holds_visits_what_it_holds(void **state)
{
	struct fixture *f = *state;
	struct seen seen = {0};

	assert_int_equal(nt_ring_walk_recent(&f->ring, 1000, see, &seen), 0);
	assert_int_equal(seen.count, 0);
	put_many(&f->writer, SPAN, 3);
	assert_int_equal(nt_ring_walk_recent(&f->ring, UINT64_MAX, see, &seen), 0);
	assert_int_equal(seen.count, 3);
	put_many(&f->writer, SPAN, 4000);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(nt_ring_walk_recent(&f->ring, UINT64_MAX, see, &seen), 0);
	assert_int_equal(seen.last, 4003);
	assert_true(seen.bytes > f->ring.capacity - f->ring.granule_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(an_empty_ring_begins_at_one),
		RING_TEST(death_after_the_announcement_is_covered_with_padding),
		RING_TEST(death_before_the_very_first_record_leaves_the_sequence_at_one),
		RING_TEST(death_in_the_middle_of_the_payload_leaves_no_trace_of_it),
		RING_TEST(death_in_a_batch_across_the_end_of_the_buffer_is_covered_in_two),
		RING_TEST(death_after_the_tail_and_before_the_index_only_leaves_an_entry_missing),
		RING_TEST(death_before_the_first_entry_of_all_is_walked_from_the_epoch),
		RING_TEST(death_in_the_middle_of_a_restart_is_one_more_restart),
		RING_TEST(a_thousand_deaths_that_fill_the_ring_with_padding_keep_the_sequence),
		RING_TEST(an_unusable_index_is_replaced_by_older_entries),
		RING_TEST(a_chain_that_leads_nowhere_is_refused),
		RING_TEST(a_chain_over_a_record_larger_than_the_largest_is_refused),
		RING_TEST(positions_that_no_writer_leaves_are_refused),
		RING_TEST(a_walk_over_the_recent_visits_at_least_what_was_asked_for_in_order),
		RING_TEST(a_walk_over_more_than_the_ring_holds_visits_what_it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
