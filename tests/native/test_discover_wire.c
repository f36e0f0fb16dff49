/* SPDX-License-Identifier: Apache-2.0 */
/* Listening on a veth, in a network namespace of its own, where that is allowed. */
#include "clock.h"
#include "discover/discover.h"
#include "plan/plan.h"
#include "ring/layout.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_NS 10000000000
#define PAYLOAD_AT 46u /* behind a tag, IPv4 and UDP */

static const struct nt_discover_options MULTICAST = {.select = NT_SELECT_MULTICAST, .promiscuous = 1};
static bool wire_is_there;

/* 802.1Q 100, 10.0.0.1 to 239.1.2.3 port 15000, "abcd". */
static const uint8_t FRAME[] = {
	0x01, 0x00, 0x5e, 0x01, 0x02, 0x03, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x81, 0x00, 0x00, 0x64, 0x08,
	0x00, 0x45, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x10, 0x11, 0xaf, 0xc7, 10,   0,    0,    1,
	239,  1,    2,    3,    0x30, 0x39, 0x3a, 0x98, 0x00, 0x0c, 0x00, 0x00, 'a',  'b',  'c',  'd',
};

static int make_wire(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return 0;
	wire_is_there = !system("ip link add ntsend type veth peer name nthear &&"
				" ip link set ntsend up && ip link set nthear up");
	return 0;
}

static void require_wire(void **state)
{
	(void)state;
	if (!wire_is_there) {
		print_message("no network namespace to be had here\n");
		skip();
	}
}

static struct nt_discover *open_discover(const char *interface)
{
	struct nt_discover *discover = NULL;
	struct nt_fault fault = {0};

	if (nt_discover_open(&discover, interface, &MULTICAST, &fault))
		fail_msg("%s", fault.text);
	return discover;
}

static void send_frames(const uint8_t *frame, uint32_t bytes, uint32_t count)
{
	struct sockaddr_ll wire = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("ntsend")};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&wire, sizeof(wire)), 0);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(send(fd, frame, bytes, 0), bytes);
	close(fd);
}

static void run_until(struct nt_discover *discover, uint64_t packets)
{
	int64_t end_ns = nt_clock_ns(CLOCK_MONOTONIC) + DEADLINE_NS;

	while (nt_discover_sightings(discover)->packets < packets) {
		assert_true(nt_clock_ns(CLOCK_MONOTONIC) < end_ns);
		assert_int_equal(nt_discover_run(discover, 10), 0);
	}
}

static void what_arrives_is_told_apart_and_nothing_is_dropped(void **state)
{
	struct nt_discover *discover;
	const struct nt_sighting *seen;
	int64_t before_ns = nt_clock_ns(CLOCK_REALTIME);

	require_wire(state);
	discover = open_discover("nthear");
	send_frames(FRAME, sizeof(FRAME), 1000);
	run_until(discover, 1000);
	assert_int_equal(nt_discover_sightings(discover)->count, 1);
	seen = nt_discover_sightings(discover)->entries;
	assert_int_equal(seen->packets, 1000);
	assert_int_equal(seen->vlan, 100);
	assert_int_equal(seen->inner_vlan, NT_VLAN_NONE);
	assert_int_equal(seen->port, 15000);
	assert_int_equal(seen->smallest, sizeof(FRAME));
	assert_memory_equal(seen->samples[0].payload, FRAME + PAYLOAD_AT, 4);
	assert_true(seen->first_ns >= before_ns && seen->first_ns <= seen->last_ns);
	assert_true(seen->last_ns <= nt_clock_ns(CLOCK_REALTIME));
	assert_int_equal(nt_discover_dropped(discover), 0);
	nt_discover_close(discover);
}

static void what_is_no_multicast_is_not_entered(void **state)
{
	uint8_t unicast[sizeof(FRAME)];
	struct nt_discover *discover;

	require_wire(state);
	memcpy(unicast, FRAME, sizeof(FRAME));
	unicast[34] = 10;
	discover = open_discover("nthear");
	send_frames(unicast, sizeof(unicast), 10);
	send_frames(FRAME, sizeof(FRAME), 1);
	run_until(discover, 1);
	assert_int_equal(nt_discover_sightings(discover)->count, 1);
	assert_int_equal(nt_discover_sightings(discover)->packets, 1);
	nt_discover_close(discover);
}

static void a_run_lasts_as_long_as_it_is_told(void **state)
{
	struct nt_discover *discover;
	int64_t began_ns;

	require_wire(state);
	discover = open_discover("nthear");
	began_ns = nt_clock_ns(CLOCK_MONOTONIC);
	assert_int_equal(nt_discover_run(discover, 50), 0);
	assert_true(nt_clock_ns(CLOCK_MONOTONIC) - began_ns >= 50000000);
	nt_discover_close(discover);
}

static void what_cannot_be_listened_on_is_refused(void **state)
{
	struct nt_discover *discover = NULL;
	struct nt_fault fault = {0};

	require_wire(state);
	assert_int_equal(nt_discover_open(&discover, "absent0", &MULTICAST, &fault), -ENODEV);
	assert_int_equal(nt_discover_open(&discover, "a-name-that-is-too-long", &MULTICAST, &fault), -ENODEV);
	assert_int_equal(nt_discover_open(&discover, "", &MULTICAST, &fault), -ENODEV);
	assert_int_equal(nt_discover_open(&discover, "lo", &MULTICAST, &fault), -ENETDOWN);
	assert_string_equal(fault.text, "lo: expected an interface that is up, it is down: ip link set lo up");
	assert_null(discover);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_arrives_is_told_apart_and_nothing_is_dropped),
		cmocka_unit_test(what_is_no_multicast_is_not_entered),
		cmocka_unit_test(a_run_lasts_as_long_as_it_is_told),
		cmocka_unit_test(what_cannot_be_listened_on_is_refused),
	};

	return cmocka_run_group_tests(tests, make_wire, NULL);
}
