/* SPDX-License-Identifier: Apache-2.0 */
/* The reader against every interleaving that matters, each driven by hand in one thread. The ring: 64 KiB, granules of 4 KiB;
 * records of 64 bytes, so that the record at position p has the sequence p / 64 + 1. */
#define NT_TEST_HOOKS 1
#include "../../native/ring/chunk.c"

#include "ring_fixture.h"

static struct fixture *hooked;
static uint64_t hook_writes;  /* records that the writer publishes between the copy and the check, once */
static uint64_t hook_intent;  /* or the tail_intent that it announces */
static uint32_t hook_repeats; /* on how many copies */

static void overtake(const struct nt_reader *reader)
{
	(void)reader;
	if (!hook_repeats)
		return;
	hook_repeats--;
	if (hook_intent)
		hooked->ring.positions->tail_intent = hook_intent;
	else
		put_many(&hooked->writer, SPAN, hook_writes);
}

static int reader_end(void **state)
{
	nt_chunk_test_hook = NULL;
	hook_repeats = 0;
	hook_intent = 0;
	return fixture_end(state);
}

static void hook(struct fixture *f, uint64_t writes, uint64_t intent)
{
	hooked = f;
	hook_writes = writes;
	hook_intent = intent;
	hook_repeats = 1;
	nt_chunk_test_hook = overtake;
}

/* Writes `laps` times the ring's capacity; the reader stays where it was. */
static void fill(struct fixture *f, uint64_t laps)
{
	put_many(&f->writer, SPAN, laps * f->ring.capacity / SPAN);
}

static void a_reader_starts_at_the_newest_and_sees_what_comes(void **state)
{
	struct fixture *f = *state;

	put_many(&f->writer, SPAN, 10);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_LATEST, 0), 0);
	assert_int_equal(f->reader.next_seq, 11);
	expect_none(&f->reader);
	put(&f->writer, SPAN);
	expect_record(&f->reader, 11, 0);
}

static void a_reader_that_is_a_whole_ring_behind_has_lost_nothing(void **state)
{
	struct fixture *f = *state;

	fill(f, 1);
	assert_int_equal(nt_reader_lag_bytes(&f->reader), f->ring.capacity);
	for (uint64_t seq = 1; seq <= f->ring.capacity / SPAN; seq++)
		expect_record(&f->reader, seq, 0);
	expect_none(&f->reader);
	assert_int_equal(f->reader.lost, 0);
}

static void one_record_more_laps_it_and_it_resumes_a_quarter_on(void **state)
{
	struct fixture *f = *state;
	uint64_t quarter = f->ring.capacity / SPAN / 4;

	fill(f, 1);
	put(&f->writer, SPAN);
	/* tail_intent - capacity is 64: the target, a quarter on, lies one record beyond a granule's first; the next entry is
	 * taken. */
	expect_record(&f->reader, quarter + SPAN + 1, quarter + SPAN);
	assert_int_equal(f->reader.loss_events, 1);
	assert_int_equal(f->reader.lost, quarter + SPAN);
	expect_record(&f->reader, quarter + SPAN + 2, 0);
	assert_int_equal(f->reader.records, 2);
}

static void an_announcement_up_to_the_chunk_discards_nothing_and_one_byte_more_all_of_it(void **state)
{
	struct fixture *f = *state;

	fill(f, 1);
	hook(f, 0, f->ring.capacity);
	expect_record(&f->reader, 1, 0);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_SEQUENCE, 1), 0);
	f->reader.chunk_bytes = 0; /* or the first copy would do */
	hook(f, 0, f->ring.capacity + 1);
	expect_record(&f->reader, 321, 320);
}

static void a_writer_that_overtakes_between_copy_and_check_costs_exactly_what_it_overwrote(void **state)
{
	struct fixture *f = *state;

	for (uint64_t writes = 1; writes < 3000; writes += 171) {
		uint64_t expected;

		assert_int_equal(nt_reader_seek(&f->reader, NT_START_LATEST, 0), 0);
		fill(f, 1);
		expected = f->reader.next_seq;
		hook(f, writes, 0);
		assert_non_null(nt_reader_next(&f->reader, NULL));
		assert_int_equal(f->reader.lost_before, f->reader.next_seq - 1 - expected);
		assert_true(f->reader.lost_before >= writes);
		assert_true((f->reader.next_seq - 2) * SPAN >= f->writer.tail - f->ring.capacity + f->ring.capacity / 4);
		assert_int_equal(hook_repeats, 0);
	}
}

static void laps_without_a_record_between_them_are_one_event(void **state)
{
	struct fixture *f = *state;

	fill(f, 2);
	hook(f, 1024, 0);
	hook_repeats = 5;
	assert_non_null(nt_reader_next(&f->reader, NULL));
	assert_int_equal(hook_repeats, 0);
	assert_int_equal(f->reader.loss_events, 1);
	assert_int_equal(f->reader.lost, f->reader.lost_before);
	assert_int_equal(f->reader.lost + f->reader.records, f->reader.next_seq - 1);
}

static void a_reader_that_is_overtaken_again_and_again_gives_way_and_comes_back(void **state)
{
	struct fixture *f = *state;

	fill(f, 2);
	hook(f, 2048, 0);
	hook_repeats = UINT32_MAX;
	expect_none(&f->reader);
	hook_repeats = 0;
	assert_non_null(nt_reader_next(&f->reader, NULL));
	assert_int_equal(f->reader.lost + f->reader.records, f->reader.next_seq - 1);
	assert_int_equal(f->reader.loss_events, 1);
}

static void resume_oldest_takes_the_first_entry_that_is_intact(void **state)
{
	struct fixture *f = *state;

	f->reader.resume = NT_RESUME_OLDEST;
	fill(f, 2);
	put(&f->writer, SPAN);
	expect_record(&f->reader, 1024 + 64 + 1, 1024 + 64);
}

static void resume_latest_waits_for_the_next_record_and_counts_all_before_it(void **state)
{
	struct fixture *f = *state;

	f->reader.resume = NT_RESUME_LATEST;
	fill(f, 2);
	expect_none(&f->reader);
	put(&f->writer, SPAN);
	expect_record(&f->reader, 2049, 2048);
	assert_int_equal(f->reader.loss_events, 1);
}

static void overwritten_padding_alone_is_no_loss(void **state)
{
	struct fixture *f = *state;

	place(f, f->ring.capacity - 64, 1);
	f->ring.positions->tail_intent += 64; /* one that died before its first record */
	assert_int_equal(nt_ring_restart(&f->ring, 0, &f->writer.next_seq, &f->fault), 0);
	nt_writer_init(&f->writer, &f->ring, f->writer.next_seq);
	put_many(&f->writer, SPAN, f->ring.capacity / SPAN);
	f->reader.resume = NT_RESUME_OLDEST;
	f->ring.positions->tail_intent = f->writer.tail; /* the padding is 64 bytes behind the oldest */
	expect_record(&f->reader, 1, 0);
	assert_int_equal(f->reader.loss_events, 0);
}

static void a_sequence_is_found_wherever_it_lies(void **state)
{
	struct fixture *f = *state;

	fill(f, 3);
	for (uint64_t seq = 2049; seq <= 3073; seq++) {
		assert_int_equal(nt_reader_seek(&f->reader, NT_START_SEQUENCE, seq), 0);
		if (seq == 3073)
			expect_none(&f->reader);
		else
			expect_record(&f->reader, seq, 0);
	}
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_SEQUENCE, 3074), -ERANGE);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_SEQUENCE, 0), -ERANGE);
	put(&f->writer, SPAN);
	expect_record(&f->reader, 3073, 0); /* refusing left it where it was */
}

static void a_sequence_that_is_gone_is_a_loss_with_the_first_record(void **state)
{
	struct fixture *f = *state;

	fill(f, 3);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_SEQUENCE, 2048), 0);
	assert_int_equal(f->reader.lost, 0);
	expect_record(&f->reader, 2049, 1);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_SEQUENCE, 5), 0);
	expect_record(&f->reader, 2049, 2044);
	assert_int_equal(f->reader.loss_events, 2);
}

static void the_oldest_is_found_and_read_to_the_newest(void **state)
{
	struct fixture *f = *state;

	fill(f, 3);
	put(&f->writer, SPAN);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_OLDEST, 0), 0);
	for (uint64_t seq = 2048 + 64 + 1; seq <= 3073; seq++)
		expect_record(&f->reader, seq, 0);
	expect_none(&f->reader);
}

static void a_missing_index_entry_costs_a_longer_walk_and_no_record(void **state)
{
	struct fixture *f = *state;

	fill(f, 1);
	put_many(&f->writer, SPAN, 100);
	f->ring.index[0] = 0; /* as a death before the entry leaves it: of the lap before */
	f->ring.index[1] = 4096;
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_LATEST, 0), 0);
	assert_int_equal(f->reader.next_seq, 1125);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_SEQUENCE, 1100), 0);
	expect_record(&f->reader, 1100, 0);
}

static void lengths_that_no_writer_writes_are_damage_and_never_followed(void **state)
{
	static const struct {
		uint32_t length;
		uint16_t flags;
		uint32_t capture_length;
	} bad[] = {
		{0, 0, 0},
		{7, 0, 0},
		{47, 0, 0},
		{2049, 0, 2001},
		{2056, 0, 2008},
		{UINT32_MAX, 0, UINT32_MAX - 48},
		{64, 0, 17},
		{64, 0, UINT32_MAX - 31},
		{0, NT_RECORD_PADDING, 0},
		{12, NT_RECORD_PADDING, 0},
		{72, NT_RECORD_PADDING, 0},
		{UINT32_MAX, NT_RECORD_PADDING, 0},
		{1u << 31, NT_RECORD_PADDING, 0},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct nt_record *record;

		assert_int_equal(nt_reader_seek(&f->reader, NT_START_LATEST, 0), 0);
		put(&f->writer, SPAN);
		record = (struct nt_record *)(f->ring.data + (f->writer.tail - SPAN) % f->ring.capacity);
		record->length = bad[i].length;
		record->flags = bad[i].flags;
		record->capture_length = bad[i].capture_length;
		expect_damage(&f->reader);
		expect_damage(&f->reader);
		record->length = SPAN;
		record->flags = 0;
		record->capture_length = SPAN - NT_RECORD_HEADER_BYTES;
		f->reader.chunk_bytes = 0;
		expect_record(&f->reader, i + 1, 0);
	}
}

static void a_record_that_reaches_over_the_end_of_the_buffer_is_damage(void **state)
{
	struct fixture *f = *state;
	struct nt_record *last = (struct nt_record *)(f->ring.data + f->ring.capacity - SPAN);

	place(f, f->ring.capacity - SPAN, 1);
	put_many(&f->writer, SPAN, 2);
	last->length = 72;
	last->capture_length = 72 - NT_RECORD_HEADER_BYTES;
	expect_damage(&f->reader);
}

static void a_sequence_that_jumps_or_goes_back_without_a_lap_is_damage(void **state)
{
	struct fixture *f = *state;

	put_many(&f->writer, SPAN, 3);
	((struct nt_record *)(f->ring.data + SPAN))->ring_seq = 3;
	expect_record(&f->reader, 1, 0);
	expect_damage(&f->reader);
	((struct nt_record *)(f->ring.data + SPAN))->ring_seq = 1;
	f->reader.chunk_bytes = 0;
	expect_damage(&f->reader);
}

static void a_tail_that_went_back_or_is_crooked_is_damage(void **state)
{
	struct fixture *f = *state;

	f->reader.resume = NT_RESUME_LATEST; /* which would wait there */
	put_many(&f->writer, SPAN, 3);
	for (uint64_t seq = 1; seq <= 3; seq++)
		expect_record(&f->reader, seq, 0);
	f->ring.positions->tail = 2 * SPAN;
	expect_damage(&f->reader);
	f->ring.positions->tail = 3 * SPAN + 4;
	expect_damage(&f->reader);
}

/* Records of every length, read a little behind the writer, then after a lap, then by sequence; around `from`. */
static void pass_position(struct fixture *f, uint64_t from, uint64_t seq)
{
	uint64_t next = seq;

	place(f, from, seq);
	while (f->writer.tail < from + 4 * f->ring.capacity) {
		put(&f->writer, NT_RECORD_HEADER_BYTES + (uint32_t)(f->writer.next_seq * 131 % (f->ring.max_record_bytes - 47)));
		if (nt_reader_lag_bytes(&f->reader) > f->ring.capacity / 2)
			expect_record(&f->reader, next++, 0);
	}
	while (next < f->writer.next_seq)
		expect_record(&f->reader, next++, 0);
	expect_none(&f->reader);
	fill(f, 2);
	assert_non_null(nt_reader_next(&f->reader, NULL));
	assert_int_equal(f->reader.lost_before, f->reader.next_seq - 1 - next);
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_OLDEST, 0), 0);
	next = f->reader.next_seq;
	assert_int_equal(nt_reader_seek(&f->reader, NT_START_SEQUENCE, next + 77), 0);
	expect_record(&f->reader, next + 77, 0);
	assert_int_equal(nt_ring_restart(&f->ring, 0, &next, &f->fault), 0);
	assert_int_equal(next, f->writer.next_seq);
}

static void positions_pass_two_to_the_32(void **state)
{
	struct fixture *f = *state;

	pass_position(f, (1ull << 32) - 2 * f->ring.capacity - 1000, (1ull << 32) - 100);
}

static void positions_pass_two_to_the_63(void **state)
{
	struct fixture *f = *state;

	pass_position(f, (1ull << 63) - 2 * f->ring.capacity - 1000, (1ull << 63) - 100);
}

#define READER_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, reader_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		READER_TEST(a_reader_starts_at_the_newest_and_sees_what_comes),
		READER_TEST(a_reader_that_is_a_whole_ring_behind_has_lost_nothing),
		READER_TEST(one_record_more_laps_it_and_it_resumes_a_quarter_on),
		READER_TEST(an_announcement_up_to_the_chunk_discards_nothing_and_one_byte_more_all_of_it),
		READER_TEST(a_writer_that_overtakes_between_copy_and_check_costs_exactly_what_it_overwrote),
		READER_TEST(laps_without_a_record_between_them_are_one_event),
		READER_TEST(a_reader_that_is_overtaken_again_and_again_gives_way_and_comes_back),
		READER_TEST(resume_oldest_takes_the_first_entry_that_is_intact),
		READER_TEST(resume_latest_waits_for_the_next_record_and_counts_all_before_it),
		READER_TEST(overwritten_padding_alone_is_no_loss),
		READER_TEST(a_sequence_is_found_wherever_it_lies),
		READER_TEST(a_sequence_that_is_gone_is_a_loss_with_the_first_record),
		READER_TEST(the_oldest_is_found_and_read_to_the_newest),
		READER_TEST(a_missing_index_entry_costs_a_longer_walk_and_no_record),
		READER_TEST(lengths_that_no_writer_writes_are_damage_and_never_followed),
		READER_TEST(a_record_that_reaches_over_the_end_of_the_buffer_is_damage),
		READER_TEST(a_sequence_that_jumps_or_goes_back_without_a_lap_is_damage),
		READER_TEST(a_tail_that_went_back_or_is_crooked_is_damage),
		READER_TEST(positions_pass_two_to_the_32),
		READER_TEST(positions_pass_two_to_the_63),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
