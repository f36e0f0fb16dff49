/* SPDX-License-Identifier: Apache-2.0 */
/* published = raw - base: through a new ring, a restart of the capture, and a new holder. Always:
 * redirected = in ring + oversize + dropped + ring full + occupancy + lost with a holder. */
#include "loop/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define HOLDER 0xA1u
#define OTHER_HOLDER 0xB2u
#define NOW 1790000000000000000
#define UNKNOWN NT_COUNT_UNKNOWN

static struct nt_source_counters slot;
static struct nt_source_stats raw;

static int set_up(void **state)
{
	(void)state;
	memset(&slot, 0, sizeof(slot));
	memset(&raw, 0xFF, sizeof(raw));
	raw.rx_dropped = raw.rx_ring_full = raw.rx_occupancy = raw.wakeups = raw.xdp_unstamped = raw.rx_taken = 0;
	raw.xdp_seen = raw.xdp_redirected = raw.xdp_passed_unmatched = raw.xdp_passed_no_socket = 0;
	return 0;
}

/* `count` more are redirected into the RX ring, where they wait. */
static void arrive(uint64_t count)
{
	raw.xdp_seen += count;
	raw.xdp_redirected += count;
	raw.rx_occupancy += count;
}

static void drop(uint64_t count)
{
	raw.xdp_seen += count;
	raw.xdp_redirected += count;
	raw.rx_dropped += count;
}

static void take(uint64_t count)
{
	raw.rx_occupancy -= count;
	raw.rx_taken += count;
	slot.loop.packets += count;
}

/* A packet socket: what passed its filter, drops included, waits in its ring until it is judged. */
static void set_up_packet(void)
{
	memset(&raw, 0xFF, sizeof(raw));
	raw.offered = raw.socket_drops = raw.rx_occupancy = raw.rx_taken = 0;
	slot.kind = NT_SOURCE_PACKET;
}

static void arrive_at_packet(uint64_t count, uint64_t dropped)
{
	raw.offered += count + dropped;
	raw.socket_drops += dropped;
	raw.rx_occupancy += count;
}

static void judge(uint64_t selected, uint64_t oversize, uint64_t unselected)
{
	raw.rx_occupancy -= selected + oversize + unselected;
	raw.rx_taken += selected + oversize + unselected;
	slot.loop.packets += selected;
	slot.loop.oversize += oversize;
	slot.loop.unselected += unselected;
}

static void open_books(uint64_t holder_id)
{
	nt_books_open(&slot, holder_id, &raw);
	nt_books_publish(&slot, &raw, NOW);
}

static void publish(void)
{
	nt_books_publish(&slot, &raw, NOW);
}

static void assert_balanced(void)
{
	const struct nt_source_stats *stats = &slot.stats;

	assert_int_equal(stats->xdp_redirected, slot.loop.packets + slot.loop.oversize + stats->rx_dropped + stats->rx_ring_full +
							stats->rx_occupancy + stats->lost_with_holder);
	assert_int_equal(stats->xdp_seen, stats->xdp_passed_unmatched + stats->xdp_passed_no_socket + stats->xdp_redirected);
}

static void assert_packet_balanced(void)
{
	const struct nt_source_stats *stats = &slot.stats;

	assert_int_equal(stats->offered,
			 nt_counters_taken(&slot.loop) + stats->socket_drops + stats->rx_occupancy + stats->lost_with_holder);
	assert_int_equal(stats->xdp_redirected, UNKNOWN);
}

static void a_new_ring_that_meets_a_holder_at_work_starts_at_nought(void **state)
{
	(void)state;
	arrive(1000);
	take(1000);
	slot.loop.packets = 0; /* another ring had these */
	drop(30);
	arrive(7);
	raw.xdp_passed_unmatched += 5;
	raw.xdp_seen += 5;
	open_books(HOLDER);
	assert_int_equal(slot.stats.xdp_redirected, 7);
	assert_int_equal(slot.stats.rx_dropped, 0);
	assert_int_equal(slot.stats.xdp_passed_unmatched, 0);
	assert_balanced();
	arrive(100);
	drop(2);
	take(107);
	publish();
	assert_int_equal(slot.stats.rx_dropped, 2);
	assert_balanced();
}

static void the_start_is_exact_although_packets_are_on_their_way_to_the_rx_ring(void **state)
{
	(void)state;
	arrive(7);
	raw.rx_occupancy -= 3; /* counted by the program, not yet visible in the RX ring */
	open_books(HOLDER);
	raw.rx_occupancy += 3;
	take(7);
	publish();
	assert_balanced();
}

static void without_a_count_of_what_was_taken_occupancy_does(void **state)
{
	(void)state;
	arrive(1007);
	raw.rx_occupancy = 7;
	raw.rx_taken = NT_COUNT_UNKNOWN;
	open_books(HOLDER);
	assert_int_equal(slot.stats.xdp_redirected, 7);
	assert_int_equal(slot.stats.rx_taken, NT_COUNT_UNKNOWN);
	assert_balanced();
}

static void a_restart_under_the_same_holder_goes_on(void **state)
{
	(void)state;
	drop(5);
	open_books(HOLDER);
	arrive(100);
	take(90);
	raw.wakeups = 8;
	publish();
	raw.wakeups = 0; /* the new process's own */
	arrive(50);
	open_books(HOLDER);
	assert_int_equal(slot.stats.xdp_redirected, 150);
	assert_int_equal(slot.stats.rx_dropped, 0);
	assert_int_equal(slot.stats.rx_occupancy, 60);
	assert_int_equal(slot.stats.wakeups, 8);
	assert_int_equal(slot.stats.lost_with_holder, 0);
	assert_balanced();
}

static void a_new_holder_counts_on_from_the_old_ones_figures(void **state)
{
	(void)state;
	open_books(HOLDER);
	arrive(100);
	take(90);
	drop(4);
	publish(); /* ten wait when the holder dies */
	set_up(NULL);
	slot.stats.xdp_redirected = slot.stats.xdp_seen = 104;
	slot.stats.rx_dropped = 4;
	slot.stats.rx_occupancy = 10;
	slot.stats.updated_ns = NOW;
	slot.loop.packets = 90;
	slot.holder_id = HOLDER;
	arrive(3);
	open_books(OTHER_HOLDER);
	assert_int_equal(slot.stats.xdp_redirected, 107);
	assert_int_equal(slot.stats.rx_dropped, 4);
	assert_int_equal(slot.stats.lost_with_holder, 10);
	assert_int_equal(slot.stats.rx_occupancy, 3);
	assert_balanced();
}

static void figures_that_the_helper_could_not_publish_any_more_are_made_up_for(void **state)
{
	(void)state;
	open_books(HOLDER);
	arrive(100);
	take(60);
	publish();
	slot.loop.packets = 250; /* taken in the last tenth of a second, before both died */
	memset(&raw, 0, sizeof(raw));
	open_books(OTHER_HOLDER);
	assert_int_equal(slot.stats.xdp_redirected, 250);
	assert_int_equal(slot.stats.lost_with_holder, 0);
	assert_balanced();
}

/* The figures were read one after the other while packets came in, and nobody is left to read them again. */
static void the_last_figures_of_a_dead_holder_balance_although_packets_were_on_their_way(void **state)
{
	(void)state;
	open_books(HOLDER);
	arrive(100);
	take(90);
	drop(2);
	raw.xdp_passed_unmatched += 7;
	raw.xdp_seen += 7;
	raw.xdp_redirected += 20; /* after the occupancy was read */
	raw.xdp_seen += 23;       /* and three more judged after that */
	publish();
	memset(&raw, 0, sizeof(raw));
	open_books(OTHER_HOLDER);
	assert_int_equal(slot.stats.lost_with_holder, 30);
	assert_int_equal(slot.stats.xdp_redirected, 122);
	assert_balanced();
	arrive(5);
	take(5);
	publish();
	assert_balanced();
}

static void what_vanishes_under_one_holder_stays_visible(void **state)
{
	(void)state;
	open_books(HOLDER);
	arrive(100);
	take(90);
	slot.loop.packets -= 20; /* a fault */
	open_books(HOLDER);
	assert_int_equal(slot.stats.lost_with_holder, 0);
	assert_int_equal(slot.stats.xdp_redirected - slot.loop.packets - slot.stats.rx_occupancy, 20);
}

static void without_a_holder_each_process_counts_from_nought_and_the_books_go_on(void **state)
{
	(void)state;
	memset(&raw, 0xFF, sizeof(raw));
	raw.offered = 0;
	open_books(0);
	raw.offered = 500;
	publish();
	slot.loop.packets = 530; /* killed before the last thirty were published */
	slot.loop.unselected = 5;
	slot.loop.oversize = 2;
	raw.offered = 0;
	open_books(0);
	assert_int_equal(slot.stats.offered, 537);
	raw.offered = 20;
	publish();
	assert_int_equal(slot.stats.offered, 557);
	raw.offered = 0; /* killed before it could put those twenty into the ring: they went with it */
	open_books(0);
	assert_int_equal(slot.stats.offered, 537);
}

static void a_new_ring_that_meets_packet_sockets_at_work_starts_at_nought(void **state)
{
	(void)state;
	set_up_packet();
	arrive_at_packet(1000, 30);
	judge(600, 10, 383);
	memset(&slot.loop, 0, sizeof(slot.loop)); /* another ring had these */
	raw.rx_occupancy -= 3;                    /* seven wait, of which three are not visible yet */
	open_books(HOLDER);
	assert_int_equal(slot.stats.offered, 7);
	assert_int_equal(slot.stats.socket_drops, 0);
	raw.rx_occupancy += 3;
	arrive_at_packet(100, 2);
	judge(50, 1, 56);
	publish();
	assert_int_equal(slot.stats.socket_drops, 2);
	assert_packet_balanced();
}

static void packet_sockets_count_on_through_a_restart_of_the_capture(void **state)
{
	(void)state;
	set_up_packet();
	open_books(HOLDER);
	arrive_at_packet(100, 5);
	judge(40, 0, 50);
	publish();
	arrive_at_packet(20, 1);
	open_books(HOLDER);
	assert_int_equal(slot.stats.offered, 126);
	assert_int_equal(slot.stats.socket_drops, 6);
	assert_int_equal(slot.stats.lost_with_holder, 0);
	assert_packet_balanced();
}

static void what_waited_in_packet_sockets_is_lost_with_their_holder(void **state)
{
	(void)state;
	set_up_packet();
	open_books(HOLDER);
	arrive_at_packet(100, 5);
	judge(40, 1, 49);
	publish();
	set_up_packet(); /* the new holder's */
	arrive_at_packet(3, 0);
	open_books(OTHER_HOLDER);
	assert_int_equal(slot.stats.lost_with_holder, 10);
	assert_int_equal(slot.stats.offered, 108);
	assert_int_equal(slot.stats.socket_drops, 5);
	assert_packet_balanced();
	slot.loop.packets += 200; /* taken in the last tenth of a second, before both died */
	set_up_packet();
	open_books(HOLDER);
	assert_int_equal(slot.stats.lost_with_holder, 10);
	assert_int_equal(slot.stats.offered, 305);
	assert_packet_balanced();
}

static void what_packet_sockets_lose_under_one_holder_stays_visible(void **state)
{
	(void)state;
	set_up_packet();
	open_books(HOLDER);
	arrive_at_packet(100, 0);
	judge(90, 0, 0);
	slot.loop.packets -= 20; /* a fault */
	open_books(HOLDER);
	assert_int_equal(slot.stats.offered - nt_counters_taken(&slot.loop) - slot.stats.rx_occupancy, 20);
}

static void what_comes_in_when_nobody_asks_any_more_is_no_loss_to_the_next_holder(void **state)
{
	(void)state;
	set_up_packet();
	open_books(HOLDER);
	arrive_at_packet(100, 7);
	judge(80, 3, 10);
	publish();
	nt_books_end_intake(&slot);
	assert_int_equal(slot.stats.offered, 93 + 7); /* taken, dropped */
	assert_int_equal(slot.stats.rx_occupancy, 0);
	set_up_packet();
	open_books(OTHER_HOLDER);
	publish();
	assert_int_equal(slot.stats.lost_with_holder, 0);
	assert_int_equal(slot.stats.offered, nt_counters_taken(&slot.loop) + slot.stats.socket_drops);
}

static void unknown_stays_unknown(void **state)
{
	(void)state;
	memset(&raw, 0xFF, sizeof(raw));
	raw.offered = 1;
	open_books(0);
	publish();
	open_books(0);
	assert_int_equal(slot.stats.xdp_seen, NT_COUNT_UNKNOWN);
	assert_int_equal(slot.stats.socket_drops, NT_COUNT_UNKNOWN);
	assert_int_equal(slot.stats.rx_occupancy, NT_COUNT_UNKNOWN);
	assert_int_equal(slot.stats.lost_with_holder, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_new_ring_that_meets_a_holder_at_work_starts_at_nought, set_up),
		cmocka_unit_test_setup(the_start_is_exact_although_packets_are_on_their_way_to_the_rx_ring, set_up),
		cmocka_unit_test_setup(without_a_count_of_what_was_taken_occupancy_does, set_up),
		cmocka_unit_test_setup(a_restart_under_the_same_holder_goes_on, set_up),
		cmocka_unit_test_setup(a_new_holder_counts_on_from_the_old_ones_figures, set_up),
		cmocka_unit_test_setup(figures_that_the_helper_could_not_publish_any_more_are_made_up_for, set_up),
		cmocka_unit_test_setup(the_last_figures_of_a_dead_holder_balance_although_packets_were_on_their_way, set_up),
		cmocka_unit_test_setup(what_vanishes_under_one_holder_stays_visible, set_up),
		cmocka_unit_test_setup(without_a_holder_each_process_counts_from_nought_and_the_books_go_on, set_up),
		cmocka_unit_test_setup(a_new_ring_that_meets_packet_sockets_at_work_starts_at_nought, set_up),
		cmocka_unit_test_setup(packet_sockets_count_on_through_a_restart_of_the_capture, set_up),
		cmocka_unit_test_setup(what_waited_in_packet_sockets_is_lost_with_their_holder, set_up),
		cmocka_unit_test_setup(what_packet_sockets_lose_under_one_holder_stays_visible, set_up),
		cmocka_unit_test_setup(what_comes_in_when_nobody_asks_any_more_is_no_loss_to_the_next_holder, set_up),
		cmocka_unit_test_setup(unknown_stays_unknown, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
