/* SPDX-License-Identifier: Apache-2.0 */
/* The packet source from one borrower to the next: every instant at which one can die is a state set by hand. */
#include "packet_fixture.h"

static uint32_t large_block = LARGE_BLOCK;

/* Within a block, and at its end. */
static void a_successor_gets_the_same_packets_wherever_the_last_one_died(void **state)
{
	for (uint32_t releases = 0; releases < 40; releases++) {
		struct nt_source *source;
		uint32_t next = 0, sent = 0;

		tear_down(state);
		set_up(state);
		source = adopt();
		while (receive(sent))
			sent++;
		for (uint32_t i = 0; i < releases; i++)
			next = take(source, next);
		poll_source(source); /* in hand, not released */
		source = kill_and_adopt(source);
		take_all(source, next, sent);
		assert_int_equal(stats_of(source).rx_taken, sent);
		nt_source_close(source);
	}
}

static void a_batch_ends_with_its_block_and_is_found_again_by_its_position(void **state)
{
	struct nt_source *source = adopt();
	uint64_t position = source->ops->position(source);
	uint32_t first, next = 0;

	(void)state;
	while (receive(next))
		next++;
	first = take(source, 0);
	assert_int_equal(kernel_block(&kernel, 0)->hdr.bh1.block_status, TP_STATUS_KERNEL);
	assert_true(source->ops->position(source) > position);
	position = source->ops->position(source);
	assert_int_equal(poll_source(source), first); /* blocks hold as many each */
	source = kill_and_adopt(source);
	assert_int_equal(source->ops->position(source), position);
	assert_int_equal(poll_source(source), first);
	assert_int_equal(number_of(&batch.packets[0]), first);
	nt_source_close(source);
}

static void a_block_owed_to_the_kernel_is_given_back_once(void **state)
{
	struct nt_source *source = adopt();
	struct tpacket_hdr_v1 *block = &kernel_block(&kernel, 0)->hdr.bh1;
	uint32_t next, sent = 0;

	(void)state;
	while (receive(sent))
		sent++;
	next = take(source, 0);
	block->block_status = TP_STATUS_USER; /* died before it could store that */
	source = kill_and_adopt(source);
	assert_int_equal(block->block_status, TP_STATUS_KERNEL);
	assert_true(receive(sent)); /* the kernel fills it again */
	kernel_retire(&kernel);
	assert_int_equal(block->block_status, TP_STATUS_USER);
	source = kill_and_adopt(source);
	assert_int_equal(block->block_status, TP_STATUS_USER); /* it is another one now */
	take_all(source, next, sent + 1);
	assert_int_equal(stats_of(source).rx_taken, sent + 1);
	nt_source_close(source);
}

static void what_was_counted_but_not_committed_counts_once(void **state)
{
	struct nt_source *source = adopt();
	uint32_t next;

	(void)state;
	receive(0);
	kernel_retire(&kernel);
	kernel.state->taken[0] = 1; /* died between that and the position */
	source = kill_and_adopt(source);
	next = take(source, 0);
	assert_int_equal(next, 1);
	assert_int_equal(stats_of(source).rx_taken, 1);
	nt_source_close(source);
}

static void the_books_are_those_of_the_kernel(void **state)
{
	struct nt_source *source = adopt();
	struct nt_source_stats stats;
	uint32_t sent = 0;

	(void)state;
	while (receive(sent))
		sent++;
	receive(sent);
	stats = stats_of(source);
	assert_int_equal(stats.offered, sent + 2);
	assert_int_equal(stats.socket_drops, 2);
	assert_int_equal(stats.rx_occupancy, sent);
	assert_int_equal(stats.rx_taken, 0);
	assert_int_equal(stats.xdp_seen, NT_COUNT_UNKNOWN);
	take(source, 0);
	receive(sent); /* into the block that came back: the kernel still has it */
	stats = stats_of(source);
	assert_int_equal(stats.offered, sent + 3);
	assert_int_equal(stats.rx_taken, batch.count);
	assert_int_equal(stats.rx_occupancy, sent + 1 - batch.count);
	assert_int_equal(kernel.state->counts[kernel.state->readings & 1].freezes, 1);
	nt_source_close(source);
}

static void three_come_in(void)
{
	for (uint32_t i = 0; i < 3; i++)
		receive(i);
}

static void three_are_missing(void)
{
	kernel.counters.tp_packets += 3;
}

/* As when a capture is stopped while its feed goes on. */
static void what_comes_in_while_it_is_counted_waits(void **state)
{
	struct nt_source *source = adopt();
	struct nt_source_stats stats;

	(void)state;
	receive(0);
	kernel_retire(&kernel);
	take(source, 0);
	receive(0);
	meanwhile = three_come_in;
	stats = stats_of(source);
	assert_int_equal(stats.offered, 5);
	assert_int_equal(stats.rx_occupancy, 4);
	assert_int_equal(stats.offered, stats.rx_taken + stats.socket_drops + stats.rx_occupancy);
	nt_source_close(source);
}

static void a_packet_that_is_nowhere_is_not_said_to_wait(void **state)
{
	struct nt_source *source = adopt();
	struct nt_source_stats stats;

	(void)state;
	receive(0);
	meanwhile = three_are_missing;
	stats = stats_of(source);
	assert_int_equal(stats.offered, 4);
	assert_int_equal(stats.rx_occupancy, 1);
	nt_source_close(source);
}

static void what_the_kernel_forgot_is_not_lost_with_who_asked(void **state)
{
	struct nt_source *source = adopt();
	socklen_t bytes = sizeof(kernel.counters);

	(void)state;
	receive(0);
	stats_of(source);
	receive(1);
	/* Died as the system call returned; then, in the middle of adding. */
	getsockopt(kernel.lane.socket_fd, LEVEL_PACKET, PACKET_STATISTICS, &kernel.state->fresh[kernel.state->readings & 1],
		   &bytes);
	source = kill_and_adopt(source);
	assert_int_equal(stats_of(source).offered, 2);
	receive(2);
	getsockopt(kernel.lane.socket_fd, LEVEL_PACKET, PACKET_STATISTICS, &kernel.state->fresh[kernel.state->readings & 1],
		   &bytes);
	kernel.state->counts[(kernel.state->readings + 1) & 1].offered = 1000;
	source = kill_and_adopt(source);
	assert_int_equal(stats_of(source).offered, 3);
	assert_int_equal(stats_of(source).offered, 3);
	nt_source_close(source);
}

static void a_ring_that_is_not_what_its_state_says_is_refused(void **state)
{
	struct nt_source *source = adopt();
	struct nt_fault fault = {0};

	(void)state;
	receive(0);
	kernel_retire(&kernel);
	kernel.state->position = 2u << NT_PACKET_POSITION_SHIFT | 3;
	kernel_block(&kernel, 1)->hdr.bh1.block_status = TP_STATUS_USER;
	nt_source_close(source);
	assert_int_equal(nt_packet_adopt(&source, &kernel.lane, 77, selector, &fault), -EPROTO);
	assert_non_null(
		strstr(fault.text, "eth1: socket 1: the ring is not what its state says (block 2, packet 3): restart the holder"));
	kernel.lane.facts.block_bytes = 5000;
	assert_int_equal(nt_packet_adopt(&source, &kernel.lane, 77, selector, &fault), -EPROTO);
	assert_non_null(strstr(fault.text, "not a packet ring"));
	kernel.lane.facts.block_bytes = KERNEL_BLOCK_BYTES;
}

/* What nanotape's ring and loop do, in short: publish, note, release; a death anywhere between is made up for by the note. */
static void nothing_is_lost_or_repeated_through_a_thousand_deaths(void **state)
{
	struct nt_source *source = adopt();
	uint64_t seed = 1, noted = 0;
	uint32_t sent = 0, published = 0, before = 0, deaths = 0, turns = 0;

	(void)state;
	while (deaths < 1000) {
		uint32_t dice, skip = 0;

		assert_true(turns++ < 100000);
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		dice = (uint32_t)(seed >> 40) % 8;
		for (uint32_t i = 0; i < (seed >> 33) % 40; i++)
			sent += receive(sent); /* what is dropped comes again */
		if (dice & 1)
			kernel_retire(&kernel);
		if (poll_source(source) <= 0)
			continue;
		if (source->ops->position(source) == noted)
			skip = published - before;
		noted = source->ops->position(source);
		before = published - skip;
		for (uint32_t i = skip; i < batch.count; i++) {
			assert_int_equal(number_of(&batch.packets[i]), published);
			published++;
		}
		if (dice >= 2)
			source->ops->release(source, &batch);
		if (dice < 4) {
			source = kill_and_adopt(source);
			deaths++;
		}
	}
	assert_true(published > 10000);
	nt_source_close(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate_setup_teardown(a_successor_gets_the_same_packets_wherever_the_last_one_died, set_up,
							 tear_down, &large_block),
		cmocka_unit_test_setup_teardown(a_batch_ends_with_its_block_and_is_found_again_by_its_position, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_block_owed_to_the_kernel_is_given_back_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_counted_but_not_committed_counts_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_books_are_those_of_the_kernel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_comes_in_while_it_is_counted_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_packet_that_is_nowhere_is_not_said_to_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_kernel_forgot_is_not_lost_with_who_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_ring_that_is_not_what_its_state_says_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_lost_or_repeated_through_a_thousand_deaths, set_up, tear_down),
		cmocka_unit_test_prestate_setup_teardown(nothing_is_lost_or_repeated_through_a_thousand_deaths, set_up, tear_down,
							 &large_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
