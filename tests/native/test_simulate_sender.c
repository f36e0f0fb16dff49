/* SPDX-License-Identifier: Apache-2.0 */
/* Sending over loopback to a plain socket: needs no privilege. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <unistd.h>

#include "simulate/simulate.h"

#define GROUP "239.192.77.1"

struct receiver {
	int socket;
	uint16_t port;
};

static struct receiver receiver_open(void)
{
	struct ip_mreqn membership = {.imr_ifindex = (int)if_nametoindex("lo")};
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct timeval patience = {.tv_sec = 5};
	socklen_t bytes = sizeof(address);
	int buffer = 4 << 20;
	struct receiver receiver = {.socket = socket(AF_INET, SOCK_DGRAM, 0)};

	inet_pton(AF_INET, GROUP, &address.sin_addr);
	membership.imr_multiaddr = address.sin_addr;
	assert_int_equal(bind(receiver.socket, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(receiver.socket, (struct sockaddr *)&address, &bytes), 0);
	assert_int_equal(setsockopt(receiver.socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof(membership)), 0);
	setsockopt(receiver.socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(receiver.socket, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	receiver.port = ntohs(address.sin_port);
	return receiver;
}

static struct nt_exchange_options exchange_of(uint64_t rate_pps, uint64_t packets)
{
	return (struct nt_exchange_options){.seed = 11,
					    .rate_mhz = rate_pps * 1000,
					    .packets = packets,
					    .symbols = 5,
					    .burst_percent = 100,
					    .end_of_session = 1,
					    .session = "TESTSESS01"};
}

static struct nt_sender_line_options line_of(const char *name, uint16_t port)
{
	struct nt_sender_line_options line = {
		.group = inet_addr(GROUP), .port = port, .interface_index = if_nametoindex("lo"), .ttl = 1, .loop = 1};

	strncpy(line.name, name, sizeof(line.name) - 1);
	return line;
}

static struct nt_sender *sender_of(struct nt_exchange_options exchange, const struct nt_sender_line_options *lines, uint32_t count)
{
	struct nt_sender *sender = NULL;
	struct nt_fault fault = {0};

	if (nt_sender_open(&sender, &exchange, lines, count, &fault))
		fail_msg("%s", fault.text);
	return sender;
}

/* Compares what arrives with the stream made again, without the numbers from `gap_first` to `gap_last`. */
static void expect_stream(struct receiver receiver, struct nt_exchange_options options, uint64_t gap_first, uint64_t gap_last)
{
	uint8_t expected[NT_MOLD_PAYLOAD_BYTES_MAX], found[2048];
	struct nt_exchange *exchange = NULL;
	struct nt_exchange_packet packet;

	assert_int_equal(nt_exchange_create(&exchange, &options, NULL), 0);
	while (nt_exchange_next_packet(exchange, expected, &packet)) {
		if (packet.number >= gap_first && packet.number <= gap_last)
			continue;
		assert_int_equal(recv(receiver.socket, found, sizeof(found), 0), packet.bytes);
		assert_memory_equal(found, expected, packet.bytes);
	}
	nt_exchange_destroy(exchange);
	assert_int_equal(recv(receiver.socket, found, sizeof(found), MSG_DONTWAIT), -1);
}

static void everything_but_the_gap_arrives_byte_for_byte(void **state)
{
	struct nt_sender_fault gaps[] = {{.first_packet = 10, .packets = 5}, {.first_packet = 5000, .packets = 1}};
	struct receiver receiver = receiver_open();
	struct nt_sender_line_options line = line_of("A", receiver.port);
	struct nt_sender_counters counters;
	struct nt_sender *sender;

	(void)state;
	line.gaps = (struct nt_sender_fault_list){.faults = gaps, .count = 2};
	sender = sender_of(exchange_of(20000, 1000), &line, 1);
	assert_int_equal(nt_sender_run(sender, NULL), 0);
	nt_sender_read(sender, 0, &counters);
	assert_int_equal(counters.generated, 1001);
	assert_int_equal(counters.sent, 996);
	assert_int_equal(counters.withheld, 5);
	assert_int_equal(counters.ends, 1);
	assert_int_equal(gaps[0].done, 5);
	assert_true(gaps[0].messages >= 5 && gaps[0].first_sequence > 0);
	assert_int_equal(gaps[1].done, 0);
	assert_int_equal(gaps[1].first_sequence, 0);
	expect_stream(receiver, exchange_of(20000, 1000), 10, 14);
	assert_int_equal(nt_sender_run(sender, NULL), -EALREADY);
	nt_sender_close(sender);
	close(receiver.socket);
}

static void expect_numbers(struct receiver receiver, struct nt_exchange_options options, const uint64_t *numbers,
			   unsigned int count)
{
	static uint8_t payloads[32][NT_MOLD_PAYLOAD_BYTES_MAX];
	struct nt_exchange_packet packets[32];
	struct nt_exchange *exchange = NULL;
	uint8_t found[2048];
	unsigned int made = 0;

	assert_int_equal(nt_exchange_create(&exchange, &options, NULL), 0);
	while (made < 32 && nt_exchange_next_packet(exchange, payloads[made], &packets[made]))
		made++;
	nt_exchange_destroy(exchange);
	for (unsigned int index = 0; index < count; index++) {
		uint64_t place = numbers[index] - 1;

		assert_true(place < made);
		assert_int_equal(recv(receiver.socket, found, sizeof(found), 0), packets[place].bytes);
		assert_memory_equal(found, payloads[place], packets[place].bytes);
	}
	assert_int_equal(recv(receiver.socket, found, sizeof(found), MSG_DONTWAIT), -1);
}

static void datagrams_are_sent_twice_and_late_as_asked(void **state)
{
	static const uint64_t order[] = {1, 2, 2, 3, 3, 4, 6, 8, 5, 9, 10, 11};
	struct nt_sender_fault duplicates[] = {{.first_packet = 2, .packets = 2}, {.first_packet = 40, .packets = 1}};
	struct nt_sender_fault reorders[] = {{.first_packet = 5, .packets = 3}};
	struct nt_sender_fault gaps[] = {{.first_packet = 7, .packets = 1}};
	struct receiver receiver = receiver_open();
	struct nt_sender_line_options line = line_of("A", receiver.port);
	struct nt_sender_counters counters;
	struct nt_sender *sender;

	(void)state;
	line.duplicates = (struct nt_sender_fault_list){.faults = duplicates, .count = 2};
	line.reorders = (struct nt_sender_fault_list){.faults = reorders, .count = 1};
	line.gaps = (struct nt_sender_fault_list){.faults = gaps, .count = 1};
	sender = sender_of(exchange_of(20000, 10), &line, 1);
	assert_int_equal(nt_sender_run(sender, NULL), 0);
	expect_numbers(receiver, exchange_of(20000, 10), order, 12);
	nt_sender_read(sender, 0, &counters);
	assert_int_equal(counters.generated, 11);
	assert_int_equal(counters.sent, 12);
	assert_int_equal(counters.repeated, 2);
	assert_int_equal(duplicates[0].done, 2);
	assert_int_equal(duplicates[1].first_sequence, 0);
	assert_int_equal(reorders[0].done, 3);
	assert_true(reorders[0].first_sequence > duplicates[0].first_sequence &&
		    gaps[0].first_sequence > reorders[0].first_sequence);
	nt_sender_close(sender);
	close(receiver.socket);
}

static void what_is_to_be_late_is_sent_at_the_end_at_the_latest(void **state)
{
	static const uint64_t order[] = {1, 2, 4, 3};
	struct nt_sender_fault reorders[] = {{.first_packet = 3, .packets = 50}};
	struct receiver receiver = receiver_open();
	struct nt_sender_line_options line = line_of("A", receiver.port);
	struct nt_sender *sender;

	(void)state;
	line.reorders = (struct nt_sender_fault_list){.faults = reorders, .count = 1};
	sender = sender_of(exchange_of(20000, 3), &line, 1);
	assert_int_equal(nt_sender_run(sender, NULL), 0);
	expect_numbers(receiver, exchange_of(20000, 3), order, 4);
	assert_int_equal(reorders[0].done, 1);
	nt_sender_close(sender);
	close(receiver.socket);
}

/* Each datagram twice and one of them late, in batches that are always full. */
static void a_batch_has_room_for_what_is_sent_twice_and_late(void **state)
{
	struct nt_sender_fault duplicates[] = {{.first_packet = 1, .packets = 5000}};
	struct nt_sender_fault reorders[] = {{.first_packet = 64, .packets = 64}, {.first_packet = 200, .packets = 127}};
	struct nt_sender_line_options line = line_of("A", 31999);
	struct nt_sender_counters counters;
	struct nt_sender *sender;

	(void)state;
	line.duplicates = (struct nt_sender_fault_list){.faults = duplicates, .count = 1};
	line.reorders = (struct nt_sender_fault_list){.faults = reorders, .count = 2};
	sender = sender_of(exchange_of(10000000, 1000), &line, 1);
	assert_int_equal(nt_sender_run(sender, NULL), 0);
	nt_sender_read(sender, 0, &counters);
	assert_int_equal(counters.generated, 1001);
	assert_int_equal(counters.repeated, 999);
	assert_int_equal(counters.sent, 2000);
	nt_sender_close(sender);
}

static void a_line_tells_what_a_restart_cut_off(void **state)
{
	struct nt_sender_restart restarts[2] = {{.packet = 5}, {.packet = 900}};
	struct nt_exchange_options options = exchange_of(20000, 10);
	struct nt_sender_fault gaps[] = {{.first_packet = 6, .packets = 1}};
	struct receiver receiver = receiver_open();
	struct nt_sender_line_options line = line_of("A", receiver.port);
	struct nt_sender *sender;

	(void)state;
	options.restart_count = 2;
	options.restarts[0] = (struct nt_exchange_restart){.packet = 5, .new_session = 1};
	options.restarts[1] = (struct nt_exchange_restart){.packet = 900};
	line.restarts = restarts;
	line.gaps = (struct nt_sender_fault_list){.faults = gaps, .count = 1};
	sender = sender_of(options, &line, 1);
	assert_int_equal(nt_sender_run(sender, NULL), 0);
	assert_true(restarts[0].expected > 4);
	assert_int_equal(restarts[1].expected, 0);
	assert_int_equal(gaps[0].restarts, 1);
	expect_stream(receiver, options, 6, 6);
	nt_sender_close(sender);
	close(receiver.socket);
}

/* A rate that no machine keeps: whole batches are always due, and the stream must still be sent to its end. */
static void a_sender_that_is_always_late_sends_all(void **state)
{
	struct receiver a = receiver_open(), b = receiver_open();
	struct nt_sender_line_options lines[] = {line_of("A", a.port), line_of("B", b.port)};
	struct nt_sender *sender = sender_of(exchange_of(10000000, 1000), lines, 2);
	struct nt_sender_counters counters;

	(void)state;
	assert_int_equal(nt_sender_run(sender, NULL), 0);
	for (uint32_t line = 0; line < 2; line++) {
		nt_sender_read(sender, line, &counters);
		assert_int_equal(counters.sent, 1001);
		assert_true(counters.batches < 200);
	}
	expect_stream(a, exchange_of(10000000, 1000), 0, 0);
	expect_stream(b, exchange_of(10000000, 1000), 0, 0);
	nt_sender_close(sender);
	close(a.socket);
	close(b.socket);
}

static void *run_sender(void *sender)
{
	return (void *)(intptr_t)nt_sender_run(sender, NULL);
}

static void an_endless_stream_can_be_watched_and_stopped(void **state)
{
	struct nt_sender_line_options line = line_of("A", 31999);
	struct nt_sender *sender = sender_of(exchange_of(5000, 0), &line, 1);
	struct nt_sender_counters counters = {0};
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, run_sender, sender), 0);
	while (counters.sent < 100)
		nt_sender_read(sender, 0, &counters);
	nt_sender_stop(sender);
	pthread_join(thread, &result);
	assert_null(result);
	nt_sender_read(sender, 0, &counters);
	assert_int_equal(counters.generated, counters.sent);
	nt_sender_close(sender);
}

static void a_delayed_line_sends_the_same_later(void **state)
{
	struct receiver receiver = receiver_open();
	struct nt_sender_line_options lines[] = {line_of("A", 31999), line_of("B", receiver.port)};
	struct nt_sender_counters early, late;
	struct nt_sender *sender;

	(void)state;
	lines[1].delay_ns = 30000000;
	sender = sender_of(exchange_of(20000, 200), lines, 2);
	assert_int_equal(nt_sender_run(sender, NULL), 0);
	nt_sender_read(sender, 0, &early);
	nt_sender_read(sender, 1, &late);
	assert_true(late.first_ns >= early.first_ns + 25000000);
	assert_int_equal(early.crc32c, late.crc32c);
	expect_stream(receiver, exchange_of(20000, 200), 0, 0);
	nt_sender_close(sender);
	close(receiver.socket);
}

static void lines_that_cannot_be_are_refused_by_name(void **state)
{
	struct nt_sender_fault overlap[] = {{.first_packet = 5, .packets = 5}, {.first_packet = 9, .packets = 1}};
	struct nt_sender_fault zero[] = {{.first_packet = 0, .packets = 5}};
	struct nt_sender_fault touching[] = {{.first_packet = 5, .packets = 5}, {.first_packet = 10, .packets = 1}};
	struct nt_sender_line_options wrong[6];
	static const int errors[6] = {-EINVAL, -EINVAL, -ENODEV, -EINVAL, -EINVAL, -EINVAL};
	struct nt_exchange_options exchange = exchange_of(1000, 1);

	(void)state;
	for (unsigned int index = 0; index < 6; index++)
		wrong[index] = line_of("A", 31999);
	wrong[0].group = inet_addr("10.0.0.1");
	wrong[1].port = 65536;
	wrong[2].interface_index = 999999;
	wrong[3].gaps = (struct nt_sender_fault_list){.faults = overlap, .count = 2};
	wrong[4].duplicates = (struct nt_sender_fault_list){.faults = zero, .count = 1};
	wrong[5].reorders = (struct nt_sender_fault_list){.faults = touching, .count = 2};
	for (unsigned int index = 0; index < 6; index++) {
		struct nt_sender *sender = NULL;
		struct nt_fault fault = {0};

		assert_int_equal(nt_sender_open(&sender, &exchange, &wrong[index], 1, &fault), errors[index]);
		assert_null(sender);
		assert_memory_equal(fault.text, "line A: ", 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_but_the_gap_arrives_byte_for_byte),
		cmocka_unit_test(datagrams_are_sent_twice_and_late_as_asked),
		cmocka_unit_test(what_is_to_be_late_is_sent_at_the_end_at_the_latest),
		cmocka_unit_test(a_batch_has_room_for_what_is_sent_twice_and_late),
		cmocka_unit_test(a_line_tells_what_a_restart_cut_off),
		cmocka_unit_test(a_sender_that_is_always_late_sends_all),
		cmocka_unit_test(an_endless_stream_can_be_watched_and_stopped),
		cmocka_unit_test(a_delayed_line_sends_the_same_later),
		cmocka_unit_test(lines_that_cannot_be_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
