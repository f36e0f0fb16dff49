/* SPDX-License-Identifier: Apache-2.0 */
/* A predecessor dies somewhere in poll -> note -> publish -> count -> release; the successor is handed the same batch again, or is
 * not. Packets are known by their wire lengths, since they may have no flow sequence. */
#include "loop/state.h"
#include "loop_death.h"
#include "ring/reader.h"
#include "scripted_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define HOLDER 0xA1u
#define OTHER_HOLDER 0xB2u
#define LENGTH 100u
#define WIRE_BASE 10000u
#define TOO_LARGE 40000u /* for a ring of 1 MiB */

static struct nt_ring ring;
static struct scripted source, second;
static struct nt_loop_counters *counters; /* of `source` */
static struct before_batch before;
static uint64_t next_seq;

/* The next process attaches as the writer. */
static void attach(uint64_t holder_id)
{
	assert_int_equal(nt_ring_restart(&ring, holder_id, &next_seq, NULL), 0);
}

static int look_and_poll(struct nt_source *of, struct nt_batch *batch)
{
	if (source.next + 1 == source.batches)
		look_before_batch(&before, &ring, 0);
	return scripted_poll(of, batch);
}

static int set_up(void **state)
{
	static struct nt_source_ops looking;

	(void)state;
	assert_int_equal(nt_ring_make_private(&ring, 1u << 20, NULL), 0);
	scripted_init(&source, "afxdp:test0:0");
	scripted_init(&second, "afxdp:test0:1");
	looking = scripted_ops;
	looking.poll = look_and_poll;
	source.source.ops = &looking;
	source.source.holder_id = second.source.holder_id = HOLDER;
	counters = &ring.sources[0].loop;
	attach(HOLDER);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nt_ring_close(&ring);
	return 0;
}

/* One more batch, of the packets `first` to `last`. */
static void script_batch(struct scripted *of, uint32_t first, uint32_t last)
{
	of->batches++;
	for (uint32_t number = first; number <= last; number++)
		scripted_packet(of, LENGTH, 0, 0)->wire_length = WIRE_BASE + number;
}

/* A loop over `source`, and `second` where that has a script, until both are at their end; the scripts are empty then. */
static void run(uint64_t holder_id)
{
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *sources[] = {&source.source, &second.source};
	uint32_t count = second.batches ? 2 : 1;
	struct nt_loop *loop;

	assert_int_equal(nt_loop_create(&loop, &ring, next_seq, holder_id, sources, count, &options, NULL), 0);
	nt_loop_run(loop);
	nt_loop_destroy(loop);
	source.batches = source.next = second.batches = second.next = 0;
	memset(source.script, 0, sizeof(source.script));
	memset(second.script, 0, sizeof(second.script));
}

/* As run(), but killed in the last batch of `source`, before its release. */
static void run_and_die(size_t stores)
{
	const struct nt_batch *last = &source.script[source.batches - 1];
	uint32_t judged = last->count + last->unselected;

	run(HOLDER);
	die_after(&before, &ring, 0, stores);
	source.position -= judged;
}

/* Packets 1 to `last` stand in the ring, each once, in order. */
static void assert_ring_holds_each_once(uint32_t last)
{
	const struct nt_record *record;
	struct nt_reader reader;
	uint32_t number = 0;

	assert_int_equal(nt_reader_init(&reader, &ring, NT_RESUME_OLDEST, NULL), 0);
	assert_int_equal(nt_reader_seek(&reader, NT_START_OLDEST, 0), 0);
	while ((record = nt_reader_next(&reader, NULL)))
		assert_int_equal(record->wire_length, WIRE_BASE + ++number);
	assert_int_equal(number, last);
	assert_int_equal(counters->packets + ring.sources[1].loop.packets, last);
	nt_reader_free(&reader);
}

static void a_batch_published_but_not_released_is_not_repeated(void **state)
{
	(void)state;
	script_batch(&source, 1, 5);
	script_batch(&source, 6, 10);
	run_and_die(BATCH_STORES);
	attach(HOLDER);
	script_batch(&source, 6, 14); /* 11 to 14 came since */
	script_batch(&source, 15, 20);
	run(HOLDER);
	assert_int_equal(counters->repeated, 5);
	assert_ring_holds_each_once(20);
}

static void flow_sequences_have_no_part_in_it(void **state)
{
	(void)state;
	script_batch(&source, 1, 2);
	source.script[0].packets[0].flow_seq = 7;
	run_and_die(BATCH_STORES);
	attach(HOLDER);
	script_batch(&source, 1, 4);
	source.script[0].packets[0].flow_seq = 7;
	source.script[0].packets[2].flow_seq = 6; /* a sequence that went back is no repetition */
	run(HOLDER);
	assert_int_equal(counters->repeated, 2);
	assert_ring_holds_each_once(4);
}

static void a_batch_released_whole_leaves_nothing_to_leave_out(void **state)
{
	(void)state;
	script_batch(&source, 1, 10);
	run(HOLDER);
	attach(HOLDER);
	script_batch(&source, 11, 20);
	run(HOLDER);
	assert_int_equal(counters->repeated, 0);
	assert_ring_holds_each_once(20);
}

/* The control of all others here: what the position does not name is taken, and stands twice. */
static void at_another_position_the_same_packets_are_others(void **state)
{
	(void)state;
	script_batch(&source, 1, 10);
	run_and_die(BATCH_STORES);
	attach(HOLDER);
	source.position++;
	script_batch(&source, 1, 10);
	run(HOLDER);
	assert_int_equal(counters->repeated, 0);
	assert_int_equal(counters->packets, 20);
}

/* What is not selected, or does not fit, goes between those that go into the ring. */
static void script_mixed_batch(uint32_t first, uint32_t last)
{
	source.batches++;
	source.script[source.batches - 1].unselected = last - first;
	for (uint32_t number = first; number <= last; number++) {
		scripted_packet(&source, TOO_LARGE, 0, 0);
		scripted_packet(&source, LENGTH, 0, 0)->wire_length = WIRE_BASE + number;
	}
}

static void killed_between_any_two_stores_no_packet_is_lost_repeated_or_counted_twice(void **state)
{
	for (size_t stores = 0; stores <= BATCH_STORES; stores++) {
		script_mixed_batch(1, 3);
		script_mixed_batch(4, 8);
		run_and_die(stores);
		attach(HOLDER);
		script_mixed_batch(4, 8);
		run_and_die(stores);
		attach(HOLDER); /* and dies before its first poll */
		attach(HOLDER);
		script_mixed_batch(4, 11);
		script_mixed_batch(12, 13);
		run(HOLDER);
		assert_ring_holds_each_once(13);
		assert_int_equal(counters->oversize, 13);
		assert_int_equal(counters->unselected, 2 + 7 + 1);
		assert_int_equal(counters->repeated == 0, stores < STORES_TO_PUBLISH);
		if (stores < STORES_TO_COUNT || stores == BATCH_STORES)
			assert_int_equal(counters->bytes, 13 * LENGTH);
		tear_down(state);
		set_up(state);
	}
}

static void each_successor_that_dies_adds_to_what_stands_there(void **state)
{
	(void)state;
	script_batch(&source, 1, 4);
	run_and_die(BATCH_STORES);
	attach(HOLDER);
	script_batch(&source, 1, 7);
	run_and_die(STORES_TO_PUBLISH);
	attach(HOLDER);
	script_batch(&source, 1, 9);
	run_and_die(STORES_TO_COUNT);
	attach(HOLDER);
	script_batch(&source, 1, 10);
	run(HOLDER);
	assert_ring_holds_each_once(10);
}

/* Hands out what there is from its position on, as many packets as asked; then says that it has come to its end. */
static uint32_t brought;
static uint32_t polls_left;

static int poll_from_position(struct nt_source *of, struct nt_batch *batch)
{
	(void)of;
	if (!polls_left || source.position == brought)
		return -ENODATA;
	polls_left--;
	while (batch->count < batch->limit && source.position + batch->count < brought) {
		uint32_t number = (uint32_t)source.position + batch->count + 1;

		batch->packets[batch->count++] = (struct nt_packet){.data = source.frame,
								    .capture_length = LENGTH,
								    .wire_length = WIRE_BASE + number,
								    .flow_id = 1};
	}
	return (int)batch->count;
}

static void a_batch_larger_than_those_of_its_successors_comes_whole(void **state)
{
	static const uint32_t batches[] = {200, 16, 16};
	struct nt_source *sources[] = {&source.source};
	struct nt_source_ops ops = scripted_ops;

	(void)state;
	ops.poll = poll_from_position;
	source.source.ops = &ops;
	brought = 200;
	for (uint32_t life = 0; life < 3; life++) {
		const struct nt_loop_options options = {.core = -1, .batch = batches[life]};
		struct nt_loop *loop;

		attach(HOLDER);
		polls_left = life == 2 ? UINT32_MAX : 1; /* the second dies after its first batch */
		assert_int_equal(nt_loop_create(&loop, &ring, next_seq, HOLDER, sources, 1, &options, NULL), 0);
		nt_loop_run(loop);
		nt_loop_destroy(loop);
		if (life == 0)
			source.position = 0; /* it died before the release */
		brought = 240;
	}
	assert_int_equal(counters->repeated, 200);
	assert_ring_holds_each_once(240);
}

static void of_a_batch_published_in_several_parts_the_rest_is_still_taken(void **state)
{
	const uint32_t packets = 64, length = 1200, span = (uint32_t)nt_record_span(NT_RECORD_HEADER_BYTES + length);
	const uint32_t first_part = (uint32_t)(ring.max_batch_bytes / span);

	(void)state;
	assert_in_range(first_part, 1, packets - 1);
	for (int round = 0; round < 2; round++) {
		source.batches = 1;
		for (uint32_t number = 1; number <= packets; number++)
			scripted_packet(&source, length, 0, 0)->wire_length = WIRE_BASE + number;
		if (round == 0) {
			run_and_die(STORES_TO_PUBLISH);
			ring.positions->tail = before.tail + first_part * span;
			attach(HOLDER);
		}
	}
	run(HOLDER);
	assert_int_equal(counters->repeated, first_part);
	assert_ring_holds_each_once(packets);
}

static void what_was_left_out_alone_is_judged_again_and_counted_once(void **state)
{
	for (size_t stores = 0; stores <= BATCH_STORES; stores++) {
		script_batch(&source, 1, 3);
		source.batches++;
		source.script[1].unselected = 9;
		run_and_die(stores);
		attach(HOLDER);
		source.batches = 1;
		source.script[0].unselected = 9;
		script_batch(&source, 4, 5);
		run(HOLDER);
		assert_int_equal(counters->unselected, 9);
		assert_int_equal(counters->repeated, 0);
		assert_ring_holds_each_once(5);
		tear_down(state);
		set_up(state);
	}
}

static void only_the_batch_that_was_in_hand_is_left_out(void **state)
{
	(void)state;
	script_batch(&source, 1, 10);
	run_and_die(BATCH_STORES);
	attach(HOLDER);
	script_batch(&source, 1, 10);
	script_batch(&source, 1, 2); /* no hand-over brings this; were it left out, that would hide a source's fault */
	run(HOLDER);
	assert_int_equal(counters->repeated, 10);
	assert_int_equal(counters->packets, 12);
}

/* While it has not come to its turn, the other source's packets go into the ring. */
static void what_stands_there_is_not_confused_by_another_source_that_goes_on(void **state)
{
	(void)state;
	script_batch(&source, 1, 10);
	run_and_die(STORES_TO_PUBLISH);
	attach(HOLDER);
	script_batch(&second, 11, 14);
	run(HOLDER); /* dies before `source` has brought anything */
	attach(HOLDER);
	script_batch(&second, 15, 16);
	script_batch(&source, 1, 10);
	run(HOLDER);
	assert_int_equal(counters->repeated, 10);
	assert_int_equal(counters->packets, 10);
	assert_int_equal(ring.sources[1].loop.packets, 6);
	assert_ring_holds_each_once(16);
}

static void what_a_source_published_and_did_not_count_is_counted_for_that_source(void **state)
{
	(void)state;
	script_batch(&second, 1, 3);
	run(HOLDER);
	attach(HOLDER);
	script_batch(&source, 4, 9);
	source.script[0].packets[0].flow_id = NT_FLOW_OTHER;
	source.script[0].packets[0].flags = NT_RECORD_UNPARSED;
	source.script[0].packets[1].flags = NT_RECORD_BAD_STAMP;
	source.script[0].packets[2].stamp_clock = NT_CLOCK_UNKNOWN;
	run(HOLDER);
	assert_int_equal(counters->packets, 6);
	memset(counters, 0, sizeof(*counters)); /* as if killed right after it had published */
	attach(HOLDER);
	run(HOLDER);
	assert_int_equal(counters->packets, 6);
	assert_int_equal(counters->bytes, 6 * LENGTH);
	assert_int_equal(counters->other, 1);
	assert_int_equal(counters->unparsed, 1);
	assert_int_equal(counters->bad_stamps, 1);
	assert_int_equal(counters->unstamped, 1);
	assert_int_equal(ring.sources[1].loop.packets, 3);
}

static void another_holders_positions_begin_anew_and_nothing_is_left_out(void **state)
{
	(void)state;
	script_batch(&source, 1, 10);
	run_and_die(BATCH_STORES);
	for (int restart = 0; restart < 2; restart++) { /* the first dies before its first poll */
		attach(OTHER_HOLDER);
		source.source.holder_id = OTHER_HOLDER;
		if (restart)
			script_batch(&source, 11, 20); /* at the old one's position */
		run(OTHER_HOLDER);
	}
	assert_int_equal(counters->repeated, 0);
	assert_ring_holds_each_once(20);
}

static void sources_without_a_holder_never_repeat(void **state)
{
	(void)state;
	source.source.holder_id = 0;
	attach(0);
	script_batch(&source, 1, 10);
	run(0);
	attach(0);
	source.position = 0;
	script_batch(&source, 11, 20);
	run(0);
	assert_int_equal(counters->repeated, 0);
	assert_ring_holds_each_once(20);
}

/* A ring is replaced, or its counters are not what a loop left: packets twice are better than packets gone. */
static void a_note_that_no_batch_explains_is_not_believed(void **state)
{
	(void)state;
	script_batch(&source, 1, 10);
	run_and_die(BATCH_STORES);
	ring.sources[0].batch_packets -= 1000;
	attach(HOLDER);
	script_batch(&source, 11, 12);
	run(HOLDER);
	assert_int_equal(counters->repeated, 0);
	assert_ring_holds_each_once(12);
}

static void a_difference_that_no_batch_explains_is_left_to_the_audit(void **state)
{
	(void)state;
	script_batch(&source, 1, NT_BATCH_PACKETS);
	script_batch(&source, NT_BATCH_PACKETS + 1, NT_BATCH_PACKETS + 20);
	run(HOLDER);
	counters->packets -= NT_BATCH_PACKETS + 1;
	attach(HOLDER);
	run(HOLDER);
	assert_int_equal(counters->packets, 19);
}

static void a_stamp_that_goes_back_is_flagged_across_a_hand_over(void **state)
{
	static const int64_t before_ns = 1790000000000000000;

	(void)state;
	script_batch(&source, 1, 2);
	source.script[0].packets[0].stamp_ns = before_ns;
	source.script[0].packets[1].stamp_ns = before_ns + 1000000000;
	source.script[0].packets[1].flags = NT_RECORD_BAD_STAMP; /* says nothing about others */
	run(HOLDER);
	attach(HOLDER);
	script_batch(&source, 3, 4);
	source.script[0].packets[0].stamp_ns = before_ns;
	source.script[0].packets[1].stamp_ns = before_ns - 1;
	run(HOLDER);
	assert_int_equal(counters->backwards, 1);
}

#define HANDOVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HANDOVER_TEST(a_batch_published_but_not_released_is_not_repeated),
		HANDOVER_TEST(flow_sequences_have_no_part_in_it),
		HANDOVER_TEST(a_batch_released_whole_leaves_nothing_to_leave_out),
		HANDOVER_TEST(at_another_position_the_same_packets_are_others),
		HANDOVER_TEST(killed_between_any_two_stores_no_packet_is_lost_repeated_or_counted_twice),
		HANDOVER_TEST(each_successor_that_dies_adds_to_what_stands_there),
		HANDOVER_TEST(a_batch_larger_than_those_of_its_successors_comes_whole),
		HANDOVER_TEST(of_a_batch_published_in_several_parts_the_rest_is_still_taken),
		HANDOVER_TEST(what_was_left_out_alone_is_judged_again_and_counted_once),
		HANDOVER_TEST(only_the_batch_that_was_in_hand_is_left_out),
		HANDOVER_TEST(what_stands_there_is_not_confused_by_another_source_that_goes_on),
		HANDOVER_TEST(what_a_source_published_and_did_not_count_is_counted_for_that_source),
		HANDOVER_TEST(another_holders_positions_begin_anew_and_nothing_is_left_out),
		HANDOVER_TEST(sources_without_a_holder_never_repeat),
		HANDOVER_TEST(a_note_that_no_batch_explains_is_not_believed),
		HANDOVER_TEST(a_difference_that_no_batch_explains_is_left_to_the_audit),
		HANDOVER_TEST(a_stamp_that_goes_back_is_flagged_across_a_hand_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
