/* SPDX-License-Identifier: Apache-2.0 */
/* The in-kernel generator, on a veth of a network namespace of this process's own; the receiver is a raw socket. */
#include "bench/generator.h"
#include "source/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PAYLOAD 42
#define FRAME_BYTES 242u

static int receiver;

static bool run(const char *command)
{
	return system(command) == 0;
}

/* No privilege, no programs, an old kernel: nothing to test on. */
static int set_up(void **state)
{
	const int bytes = 8 << 20;
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};

	(void)state;
	receiver = -1;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		return 0;
	if (!run("ip link add nt0 type veth peer name nt1 && ip link set nt0 up && ip link set nt1 up && "
		 "ethtool -K nt1 gro on >/dev/null"))
		return 0;
	receiver = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP));
	address.sll_ifindex = (int)if_nametoindex("nt1");
	setsockopt(receiver, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	return bind(receiver, (struct sockaddr *)&address, sizeof(address));
}

static int tear_down(void **state)
{
	(void)state;
	if (receiver >= 0)
		close(receiver);
	return 0;
}

static uint16_t varies;

static struct nt_generator_options wanted(uint32_t frame_bytes)
{
	return (struct nt_generator_options){
		.interface = "nt0",
		.frame_bytes = frame_bytes,
		.group = {239, 192, 0, 1},
		.source = {10, 255, 0, 1},
		.port = 31001,
		.varies = varies,
	};
}

static struct nt_generator *open_generator(uint32_t frame_bytes)
{
	const struct nt_generator_options options = wanted(frame_bytes);
	struct nt_generator *generator = NULL;
	struct nt_fault fault = {0};

	if (receiver < 0)
		skip();
	if (nt_generator_open(&generator, &options, &fault))
		fail_msg("%s", fault.text);
	return generator;
}

/* The next frame that has come; 0: none. */
static ssize_t receive(uint8_t *frame, size_t bytes)
{
	return recv(receiver, frame, bytes, MSG_DONTWAIT);
}

static uint64_t number_of(const uint8_t *frame)
{
	uint64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | frame[PAYLOAD + i];
	return number;
}

static void every_packet_arrives_once_and_in_order(void **state)
{
	struct nt_generator *generator = open_generator(FRAME_BYTES);
	uint8_t frame[2048];
	struct nt_fault fault = {0};

	(void)state;
	for (uint64_t send = 1; send <= 2; send++) {
		assert_int_equal(nt_generator_send(generator, 500, &fault), 0);
		assert_int_equal(nt_generator_sent(generator), 500 * send);
	}
	for (uint64_t number = 1; number <= 1000; number++) {
		assert_int_equal(receive(frame, sizeof(frame)), FRAME_BYTES);
		assert_int_equal(number_of(frame), number);
	}
	assert_int_equal(receive(frame, sizeof(frame)), -1);
	nt_generator_close(generator);
}

static void a_frame_is_what_was_asked_for(void **state)
{
	static const uint8_t head[] = {0x01, 0x00, 0x5E, 0x40, 0x00, 0x01, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00, 0x45};
	static const uint8_t addresses[] = {10, 255, 0, 1, 239, 192, 0, 1};
	struct nt_generator *generator = open_generator(60);
	uint8_t frame[2048];

	(void)state;
	assert_int_equal(nt_generator_send(generator, 1, NULL), 0);
	assert_int_equal(receive(frame, sizeof(frame)), 60);
	assert_memory_equal(frame, head, sizeof(head));
	assert_int_equal(nt_checksum_finish(nt_checksum_add(0, frame + 14, 20)), 0);
	assert_int_equal(frame[16] << 8 | frame[17], 60 - 14);
	assert_memory_equal(frame + 26, addresses, sizeof(addresses));
	assert_int_equal(frame[36] << 8 | frame[37], 31001);
	assert_int_equal(frame[38] << 8 | frame[39], 60 - 34);
	assert_int_equal(frame[40] << 8 | frame[41], 0);
	nt_generator_close(generator);
}

/* Bytes behind the number that differ between two packets. */
static uint32_t different_bytes(struct nt_generator *generator)
{
	uint8_t one[2048];
	uint8_t other[2048];
	uint32_t different = 0;

	assert_int_equal(nt_generator_send(generator, 2, NULL), 0);
	assert_int_equal(receive(one, sizeof(one)), FRAME_BYTES);
	assert_int_equal(receive(other, sizeof(other)), FRAME_BYTES);
	for (uint32_t at = PAYLOAD + 8; at < FRAME_BYTES; at++)
		different += one[at] != other[at];
	nt_generator_close(generator);
	return different;
}

/* Else a file of such packets would compress to nothing. */
static void a_third_of_the_payload_differs_where_that_was_asked_for(void **state)
{
	(void)state;
	assert_int_equal(different_bytes(open_generator(FRAME_BYTES)), 0);
	varies = 1;
	assert_in_range(different_bytes(open_generator(FRAME_BYTES)), 56, 64);
	varies = 0;
}

static void paced_packets_take_the_time_that_was_asked_for(void **state)
{
	struct nt_generator *generator = open_generator(FRAME_BYTES);
	struct nt_generator_times times;

	(void)state;
	nt_generator_pace(generator, 100000, 1);
	assert_int_equal(nt_generator_send(generator, 101, NULL), 0);
	nt_generator_times(generator, &times);
	/* Never faster; slower as often as another tenant likes. */
	assert_true(times.took_ns >= 9900000);
	assert_true(times.waited_ns > 0 && times.waited_ns <= times.took_ns);
	nt_generator_close(generator);
}

static void refusals_say_what_was_expected(void **state)
{
	struct nt_generator_options options = wanted(59);
	struct nt_generator *generator = NULL;
	struct nt_fault fault = {0};

	(void)state;
	assert_int_equal(nt_generator_open(&generator, &options, &fault), -EINVAL);
	assert_string_equal(fault.text, "generator: expected frames of 60 to 1514 bytes, found 59");
	options = wanted(60);
	strcpy(options.interface, "nowhere0");
	assert_int_equal(nt_generator_open(&generator, &options, &fault), -ENODEV);
	assert_string_equal(fault.text, "generator: nowhere0: no such interface in this network namespace");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_packet_arrives_once_and_in_order),
		cmocka_unit_test(a_frame_is_what_was_asked_for),
		cmocka_unit_test(a_third_of_the_payload_differs_where_that_was_asked_for),
		cmocka_unit_test(paced_packets_take_the_time_that_was_asked_for),
		cmocka_unit_test(refusals_say_what_was_expected),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
