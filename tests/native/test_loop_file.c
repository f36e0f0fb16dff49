/* SPDX-License-Identifier: Apache-2.0 */
/* A file has no holder that keeps it: the process that goes on with it reads it anew and skips what the dead one took. */
#include "loop_death.h"
#include "ring/reader.h"
#include "scripted_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define LENGTH 100u
#define WIRE_BASE 10000u
#define TOO_LARGE 40000u /* for a ring of 1 MiB */
#define PACKETS 300u

/* Of its packets, every seventh is too large and every fifth is not selected; one flow has the first half of them, another the rest. */
static struct file {
	struct nt_source source;
	uint32_t number;    /* of the packet read last */
	uint32_t per_poll;  /* packets judged at most */
	uint32_t polls;     /* until the process is to end */
	uint64_t offered;   /* by this process */
	uint32_t not_yet;   /* polls that bring nothing, between any two that do */
	uint32_t idle_left; /* of these */
} file;

static struct nt_ring ring;
static struct before_batch before;
static uint8_t frame[TOO_LARGE];

static bool is_selected(uint32_t number)
{
	return number % 5 != 0;
}

static bool is_too_large(uint32_t number)
{
	return number % 7 == 0;
}

static uint32_t count_of(uint32_t packets, bool selected, bool too_large)
{
	uint32_t count = 0;

	for (uint32_t number = 1; number <= packets; number++)
		count += is_selected(number) == selected && (!selected || is_too_large(number) == too_large);
	return count;
}

static int file_poll(struct nt_source *source, struct nt_batch *batch)
{
	(void)source;
	if (file.number == PACKETS || !file.polls)
		return -ENODATA;
	if (file.idle_left) {
		file.idle_left--;
		return 0;
	}
	file.idle_left = file.not_yet;
	if (!--file.polls)
		look_before_batch(&before, &ring, 0);
	for (uint32_t judged = 0; judged < file.per_poll && file.number < PACKETS; judged++) {
		file.offered++;
		if (!is_selected(++file.number)) {
			batch->unselected++;
			continue;
		}
		batch->packets[batch->count++] = (struct nt_packet){
			.data = frame,
			.capture_length = is_too_large(file.number) ? TOO_LARGE : LENGTH,
			.wire_length = WIRE_BASE + file.number,
			.stamp_ns = 1700000000000000000 + file.number,
			.flow_id = file.number <= PACKETS / 2 ? 1 : 2,
			.ts_kind = NT_TS_FILE,
			.stamp_clock = NT_CLOCK_UTC,
		};
	}
	return (int)batch->count;
}

static void file_release(struct nt_source *source, const struct nt_batch *batch)
{
	(void)source;
	(void)batch;
}

static void file_read_stats(struct nt_source *source, struct nt_source_stats *stats)
{
	(void)source;
	stats->offered = file.offered;
}

static uint64_t file_position(const struct nt_source *source)
{
	(void)source;
	return file.number; /* nought in every process that has just begun: must say nothing to the loop */
}

static const struct nt_source_ops file_ops = {
	.poll = file_poll,
	.release = file_release,
	.read_stats = file_read_stats,
	.position = file_position,
};

static int set_up(void **state)
{
	(void)state;
	file = (struct file){.source = {.ops = &file_ops, .name = "pcap:test0:0", .interface = "test0", .kind = NT_SOURCE_PCAP}};
	return nt_ring_make_private(&ring, 1u << 20, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	nt_ring_close(&ring);
	return 0;
}

/* One process, from the beginning or where the last one was; returns how many it skipped. */
static uint64_t run(bool resume, uint32_t per_poll, uint32_t polls)
{
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *sources[] = {&file.source};
	uint64_t next_seq, skipped = 0;
	struct nt_loop *loop;

	assert_int_equal(nt_ring_restart(&ring, 0, &next_seq, NULL), 0);
	file.offered = file.idle_left = 0;
	assert_int_equal(nt_loop_create(&loop, &ring, next_seq, 0, sources, 1, &options, NULL), 0);
	if (resume)
		skipped = nt_loop_file_taken(loop, 0);
	else
		nt_loop_begin_file(loop, 0);
	file.number = (uint32_t)skipped;
	file.per_poll = per_poll;
	file.polls = polls;
	nt_loop_run(loop);
	nt_loop_publish_stats(loop);
	nt_loop_destroy(loop);
	return skipped;
}

static uint64_t run_and_die(bool resume, uint32_t per_poll, uint32_t polls, size_t stores)
{
	uint64_t skipped = run(resume, per_poll, polls);

	die_after(&before, &ring, 0, stores);
	return skipped;
}

/* `times` over, each packet that goes into a ring stands there once, in order, and all are accounted for. */
static void assert_all_is_there(uint32_t times)
{
	const struct nt_source_counters *slot = &ring.sources[0];
	struct nt_reader reader;

	assert_int_equal(nt_reader_init(&reader, &ring, NT_RESUME_OLDEST, NULL), 0);
	assert_int_equal(nt_reader_seek(&reader, NT_START_OLDEST, 0), 0);
	for (uint32_t at = 0; at < times * PACKETS; at++) {
		uint32_t number = at % PACKETS + 1;
		const struct nt_record *record;

		if (!is_selected(number) || is_too_large(number))
			continue;
		record = nt_reader_next(&reader, NULL);
		assert_non_null(record);
		assert_int_equal(record->wire_length, WIRE_BASE + number);
		assert_int_equal(record->flags & NT_RECORD_BACKWARDS, 0);
	}
	assert_null(nt_reader_next(&reader, NULL));
	nt_reader_free(&reader);
	assert_int_equal(slot->loop.packets, times * count_of(PACKETS, true, false));
	assert_int_equal(slot->loop.oversize, times * count_of(PACKETS, true, true));
	assert_int_equal(slot->loop.unselected, times * count_of(PACKETS, false, false));
	assert_int_equal(slot->stats.offered, times * PACKETS);
}

static void a_file_read_twice_is_there_twice(void **state)
{
	(void)state;
	run(false, 64, UINT32_MAX);
	assert_all_is_there(1);
	run(false, 50, UINT32_MAX);
	assert_all_is_there(2);
}

static void a_file_gone_on_with_after_its_end_brings_nothing_new(void **state)
{
	(void)state;
	run(false, 64, UINT32_MAX);
	assert_int_equal(run(true, 64, UINT32_MAX), PACKETS / 64 * 64); /* the last batch is looked at again */
	assert_all_is_there(1);
}

static void killed_between_any_two_stores_and_again_it_goes_on_where_it_was(void **state)
{
	for (size_t first = 0; first <= BATCH_STORES; first++) {
		for (size_t again = 0; again <= BATCH_STORES; again++) {
			run_and_die(false, 60, 3, first);
			/* Half a note says that the batch before is done with: it is not read again. */
			assert_int_equal(run_and_die(true, 60, 1, again), first ? 120 : 60);
			run(true, 60, UINT32_MAX);
			assert_all_is_there(1);
			tear_down(state);
			set_up(state);
		}
	}
}

/* The paces of two processes differ: what stands in the ring comes again in smaller parts, and with pauses. */
static void what_stands_in_the_ring_is_left_out_however_the_file_is_cut(void **state)
{
	for (size_t first = 0; first <= BATCH_STORES; first++) {
		for (uint32_t polls = 1; polls < 30; polls++) {
			run_and_die(false, 60, 3, first);
			file.not_yet = 2;
			run_and_die(true, 7, polls, polls % BATCH_STORES);
			run_and_die(true, 64, 1, STORES_TO_PUBLISH);
			run_and_die(true, 3, 4, STORES_TO_COUNT);
			run(true, 11, UINT32_MAX);
			assert_all_is_there(1);
			tear_down(state);
			set_up(state);
		}
	}
}

static void a_file_begun_anew_after_a_death_is_read_whole(void **state)
{
	const struct nt_source_counters *slot = &ring.sources[0];

	(void)state;
	run_and_die(false, 60, 2, STORES_TO_PUBLISH);
	run(false, 64, UINT32_MAX);
	assert_int_equal(slot->loop.packets, count_of(120, true, false) + count_of(PACKETS, true, false));
	assert_int_equal(slot->stats.offered, nt_counters_taken(&slot->loop));
}

/* Dead after the base was stored and before the note: what the note says is of the file before. */
static void one_that_died_while_it_began_a_file_had_taken_nothing_of_it(void **state)
{
	struct nt_source_counters *slot = &ring.sources[0];

	(void)state;
	run(false, 64, UINT32_MAX);
	slot->file_first_seq = slot->loop.packets + 1;
	slot->file_base = nt_counters_taken(&slot->loop);
	assert_int_equal(run(true, 64, UINT32_MAX), 0);
	assert_all_is_there(2);
}

/* Of the second flow there are only the other file's packets, which have later stamps, when the first process dies. */
static void the_stamps_of_a_file_before_say_nothing_of_the_one_that_is_gone_on_with(void **state)
{
	(void)state;
	run(false, 64, UINT32_MAX);
	run_and_die(false, 60, 2, STORES_TO_COUNT);
	run(true, 64, UINT32_MAX);
	assert_all_is_there(2);
}

static void a_ring_that_was_made_anew_knows_of_no_file(void **state)
{
	(void)state;
	assert_int_equal(run(true, 64, UINT32_MAX), 0);
	assert_all_is_there(1);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(a_file_read_twice_is_there_twice),
		FILE_TEST(a_file_gone_on_with_after_its_end_brings_nothing_new),
		FILE_TEST(killed_between_any_two_stores_and_again_it_goes_on_where_it_was),
		FILE_TEST(what_stands_in_the_ring_is_left_out_however_the_file_is_cut),
		FILE_TEST(a_file_begun_anew_after_a_death_is_read_whole),
		FILE_TEST(one_that_died_while_it_began_a_file_had_taken_nothing_of_it),
		FILE_TEST(the_stamps_of_a_file_before_say_nothing_of_the_one_that_is_gone_on_with),
		FILE_TEST(a_ring_that_was_made_anew_knows_of_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
