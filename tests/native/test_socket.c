/* SPDX-License-Identifier: Apache-2.0 */
/* The socket source on the loopback of a network namespace of its own, where that is allowed. */
#include "clock.h"
#include "loop/loop.h"
#include "ring/reader.h"
#include "source/frame.h"
#include "source/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define DEADLINE_NS 10000000000
#define PORT 30117
#define PAYLOAD 100u

static struct nt_plan_source plan;
static bool veth_is_there;

static void bring_loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

/* Loopback takes no IPv6 groups: a veth gives the sender its own packets back. */
static bool make_veth(void)
{
	return !system("ip link add ntsocket0 type veth peer name ntsocket1 && ip address add fd00::1/64 dev ntsocket0 nodad &&"
		       " ip link set ntsocket0 up && ip link set ntsocket1 up");
}

static int enter_namespace(void **state)
{
	(void)state;
	if (!unshare(CLONE_NEWNET) || !unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		bring_loopback_up();
		veth_is_there = make_veth();
	}
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	plan = (struct nt_plan_source){.kind = NT_SOURCE_SOCKET, .interface = "lo", .receive_buffer_bytes = 8u << 20};
	return 0;
}

static struct nt_flow flow_of(const char *group)
{
	struct nt_flow flow = {.id = 1, .port = PORT, .vlan = NT_VLAN_NONE, .interface = "lo"};

	flow.family = strchr(group, ':') ? NT_FAMILY_IPV6 : NT_FAMILY_IPV4;
	assert_int_equal(inet_pton(flow.family == NT_FAMILY_IPV4 ? AF_INET : AF_INET6, group, flow.group), 1);
	return flow;
}

static struct nt_source *open_flows(const struct nt_flow *flows, uint32_t count)
{
	static const uint32_t ids[] = {1, 2, 3, 4};
	struct nt_source *source = NULL;
	struct nt_fault fault = {0};

	if (nt_socket_open(&source, &plan, flows, ids, count, &fault))
		fail_msg("%s", fault.text);
	return source;
}

/* A sender with TTL 3 to the group of `flow`, on its interface. */
static int open_sender(const struct nt_flow *flow)
{
	const struct ip_mreqn by = {.imr_ifindex = (int)if_nametoindex(flow->interface)};
	const int hops = 3;
	int fd;

	if (flow->family == NT_FAMILY_IPV4) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
		struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

		memcpy(&to.sin_addr, flow->group, 4);
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
		assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)), 0);
		assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof(hops)), 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	} else {
		struct sockaddr_in6 to = {.sin6_family = AF_INET6,
					  .sin6_port = htons(PORT),
					  .sin6_scope_id = (uint32_t)by.imr_ifindex};

		memcpy(&to.sin6_addr, flow->group, 16);
		fd = socket(AF_INET6, SOCK_DGRAM, 0);
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &by.imr_ifindex, sizeof(by.imr_ifindex)), 0);
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)), 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	}
	return fd;
}

static void send_number(int fd, uint32_t number)
{
	uint8_t payload[PAYLOAD];

	memset(payload, (int)number, sizeof(payload));
	memcpy(payload, &number, sizeof(number));
	assert_int_equal(send(fd, payload, sizeof(payload), 0), PAYLOAD);
}

/* Polls until something came; loopback delivers within the send. */
static uint32_t poll_once(struct nt_source *source, struct nt_batch *batch)
{
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + DEADLINE_NS;
	int got;

	while (!(got = source->ops->poll(source, batch)) && nt_clock_ns(CLOCK_MONOTONIC) < until_ns)
		source->ops->wait(source, 10);
	assert_true(got > 0);
	return (uint32_t)got;
}

static void a_datagram_gets_its_headers_back(void **state)
{
	struct nt_flow flow = flow_of("239.129.2.3");
	struct nt_source *source = open_flows(&flow, 1);
	int sender = open_sender(&flow);
	int64_t before_ns = nt_clock_ns(CLOCK_REALTIME);
	struct sockaddr_in self;
	socklen_t bytes = sizeof(self);
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	const uint8_t *frame;

	(void)state;
	send_number(sender, 1);
	assert_int_equal(poll_once(source, &batch), 1);
	frame = batch.packets[0].data;
	assert_int_equal(batch.packets[0].capture_length, 42 + PAYLOAD);
	assert_int_equal(batch.packets[0].wire_length, 42 + PAYLOAD);
	assert_int_equal(batch.packets[0].flags, NT_RECORD_REBUILT_HEADER);
	assert_int_equal(batch.packets[0].ts_kind, NT_TS_KERNEL);
	assert_int_equal(batch.packets[0].stamp_clock, NT_CLOCK_UTC);
	assert_true(batch.packets[0].stamp_ns >= before_ns && batch.packets[0].stamp_ns <= nt_clock_ns(CLOCK_REALTIME));
	assert_memory_equal(frame, "\x01\x00\x5E\x01\x02\x03\x00\x00\x00\x00\x00\x00\x08\x00\x45\x00", 16); /* 129 & 127 = 1 */
	assert_int_equal(frame[16] << 8 | frame[17], 28 + PAYLOAD);
	assert_int_equal(frame[22], 3); /* TTL */
	assert_int_equal(nt_checksum_finish(nt_checksum_add(0, frame + 14, 20)), 0);
	assert_int_equal(getsockname(sender, (struct sockaddr *)&self, &bytes), 0);
	assert_memory_equal(frame + 26, &self.sin_addr, 4);
	assert_memory_equal(frame + 34, &self.sin_port, 2);
	assert_memory_equal(frame + 30, flow.group, 4);
	assert_int_equal(frame[36] << 8 | frame[37], PORT);
	assert_int_equal(frame[38] << 8 | frame[39], 8 + PAYLOAD);
	assert_memory_equal(frame + 40, "\0\0\x01\0\0\0", 6); /* no UDP checksum, then the payload */
	source->ops->release(source, &batch);
	source->ops->close(source);
	close(sender);
}

static void ipv6_works_likewise(void **state)
{
	struct nt_flow flow = flow_of("ff05::1:3");
	struct nt_source *source;
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	int sender;

	(void)state;
	if (!veth_is_there) {
		print_message("no network namespace with IPv6 here\n");
		skip();
	}
	strcpy(flow.interface, "ntsocket0");
	source = open_flows(&flow, 1);
	sender = open_sender(&flow);
	send_number(sender, 1);
	assert_int_equal(poll_once(source, &batch), 1);
	assert_int_equal(batch.packets[0].capture_length, 62 + PAYLOAD);
	assert_memory_equal(batch.packets[0].data, "\x33\x33\x00\x01\x00\x03", 6);
	assert_memory_equal(batch.packets[0].data + 12, "\x86\xDD\x60", 3);
	assert_int_equal(batch.packets[0].data[20], 17);
	assert_int_equal(batch.packets[0].data[21], 3); /* hop limit */
	assert_memory_equal(batch.packets[0].data + 38, flow.group, 16);
	source->ops->close(source);
	close(sender);
}

static void each_flow_gets_its_own_packets_in_order(void **state)
{
	const struct nt_flow flows[] = {flow_of("239.1.1.1"), flow_of("239.1.1.2"), flow_of("239.1.1.3")};
	struct nt_flow stranger = flow_of("239.1.1.4");
	struct nt_source *source = open_flows(flows, 3);
	int senders[] = {open_sender(&flows[0]), open_sender(&flows[1]), open_sender(&flows[2]), open_sender(&stranger)};
	uint64_t last[4] = {0};
	uint32_t total = 0;
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};

	(void)state;
	for (uint32_t number = 0; number < 300; number++)
		for (int at = 0; at < 4; at++)
			send_number(senders[at], number);
	while (total < 900) {
		uint32_t got = poll_once(source, &batch);

		for (uint32_t at = 0; at < got; at++) {
			const struct nt_packet *packet = &batch.packets[at];
			uint32_t number;

			memcpy(&number, packet->data + 42, sizeof(number));
			assert_in_range(packet->flow_id, 1, 3);
			assert_int_equal(packet->flow_seq, 0); /* numbered by the loop */
			assert_int_equal(number + 1, ++last[packet->flow_id]);
			assert_int_equal(packet->data[33], packet->flow_id); /* the group's last byte */
		}
		total += got;
	}
	assert_int_equal(source->ops->poll(source, &batch), 0);
	source->ops->close(source);
	for (int at = 0; at < 4; at++)
		close(senders[at]);
}

static void a_source_filter_lets_only_its_source_through(void **state)
{
	struct nt_flow flow = flow_of("232.1.1.1"), same = flow;
	struct nt_source *source;
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	int sender;

	(void)state;
	inet_pton(AF_INET, "127.0.0.9", flow.source);
	inet_pton(AF_INET, "127.0.0.1", same.source);
	source = open_flows((const struct nt_flow[]){flow, same}, 2);
	sender = open_sender(&flow); /* sends from 127.0.0.1 */
	send_number(sender, 1);
	assert_int_equal(poll_once(source, &batch), 1);
	assert_int_equal(batch.packets[0].flow_id, 2);
	source->ops->close(source);
	close(sender);
}

static void the_same_group_on_two_interfaces_is_two_flows(void **state)
{
	struct nt_flow here = flow_of("239.1.1.1"), there = here;
	struct nt_source *source;
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	int sender;

	(void)state;
	if (!veth_is_there) {
		print_message("no network namespace with a veth here\n");
		skip();
	}
	strcpy(there.interface, "ntsocket0");
	source = open_flows((const struct nt_flow[]){there, here}, 2);
	sender = open_sender(&here);
	send_number(sender, 1);
	assert_int_equal(poll_once(source, &batch), 1);
	assert_int_equal(batch.packets[0].flow_id, 2);
	assert_int_equal(source->ops->poll(source, &batch), 0);
	source->ops->close(source);
	close(sender);
}

static void drops_of_a_small_buffer_are_counted_exactly(void **state)
{
	struct nt_flow flow = flow_of("239.1.1.1");
	struct nt_source_stats stats;
	uint64_t received = 0;
	struct nt_source *source;
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	int sender, got;

	(void)state;
	plan.receive_buffer_bytes = 8192;
	source = open_flows(&flow, 1);
	sender = open_sender(&flow);
	for (uint32_t number = 0; number < 5000; number++)
		send_number(sender, number);
	while ((got = source->ops->poll(source, &batch)) > 0)
		received += (uint64_t)got;
	assert_int_equal(got, 0);
	nt_source_stats_unknown(&stats);
	source->ops->read_stats(source, &stats);
	assert_in_range(received, 1, 4999);
	assert_int_equal(received + stats.socket_drops, 5000);
	assert_int_equal(stats.xdp_seen, NT_COUNT_UNKNOWN);
	source->ops->close(source);
	close(sender);
}

static void ten_thousand_a_second_arrive_without_loss(void **state)
{
	const struct nt_loop_options options = {.core = -1, .sleep_idle = true, .seccomp = NT_SECCOMP_COUNT};
	struct nt_flow flow = flow_of("239.1.1.1");
	struct nt_source *source = open_flows(&flow, 1);
	int sender = open_sender(&flow);
	const struct nt_record *record;
	struct nt_reader reader;
	struct nt_ring ring;
	struct nt_loop *loop;
	int64_t began_ns;
	uint32_t number;

	(void)state;
	assert_int_equal(nt_ring_make_private(&ring, 1u << 23, NULL), 0);
	assert_int_equal(nt_reader_init(&reader, &ring, NT_RESUME_OLDEST, NULL), 0);
	assert_int_equal(nt_reader_seek(&reader, NT_START_OLDEST, 0), 0);
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, &source, 1, &options, NULL), 0);
	assert_int_equal(nt_loop_start(loop, NULL), 0);
	assert_false(nt_loop_facts(loop)->seccomp);
	began_ns = nt_clock_ns(CLOCK_MONOTONIC);
	for (number = 0; number < 10000; number++) {
		while (nt_clock_ns(CLOCK_MONOTONIC) - began_ns < (int64_t)number * 100000)
			sched_yield();
		send_number(sender, number);
	}
	assert_int_equal(nt_loop_stop(loop), 0); /* takes what still waits */
	for (uint32_t expected = 0; expected < 10000; expected++) {
		record = nt_reader_next(&reader, NULL);
		assert_non_null(record);
		memcpy(&number, (const uint8_t *)(record + 1) + 42, sizeof(number));
		assert_int_equal(number, expected);
		assert_int_equal(record->flow_seq, expected + 1);
	}
	assert_null(nt_reader_next(&reader, NULL));
	assert_int_equal(ring.sources[0].stats.socket_drops, 0);
	assert_int_equal(ring.sources[0].loop.unstamped, 0);
	nt_loop_destroy(loop);
	source->ops->close(source);
	nt_reader_free(&reader);
	nt_ring_close(&ring);
	close(sender);
}

static void what_cannot_be_had_is_one_clear_line(void **state)
{
	static const uint32_t ids[] = {1};
	struct nt_flow flow = flow_of("239.1.1.1"), taken = flow_of("239.1.1.9");
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int other = socket(AF_INET, SOCK_DGRAM, 0);
	struct nt_source *source;
	struct nt_fault fault;

	(void)state;
	strcpy(flow.interface, "nowhere0");
	assert_int_equal(nt_socket_open(&source, &plan, &flow, ids, 1, &fault), -ENODEV);
	assert_non_null(strstr(fault.text, "nowhere0: no such interface"));
	assert_int_equal(nt_socket_open(&source, &plan, &flow, ids, 0, &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "needs a flow"));
	memcpy(&address.sin_addr, taken.group, 4);
	assert_int_equal(bind(other, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(nt_socket_open(&source, &plan, &taken, ids, 1, &fault), -EADDRINUSE);
	assert_non_null(strstr(fault.text, "lo: group 239.1.1.9 port 30117: in use"));
	close(other);
}

static void a_privileged_port_names_the_capability(void **state)
{
	static const uint32_t ids[] = {1};
	struct nt_flow flow = flow_of("239.1.1.1");
	struct nt_source *source;
	struct nt_fault fault;
	uid_t root = geteuid();

	(void)state;
	flow.port = 80;
	if (root == 0)
		assert_int_equal(seteuid(65534), 0);
	if (nt_socket_open(&source, &plan, &flow, ids, 1, &fault) == 0)
		fail_msg("port 80 was given to user %u", geteuid());
	assert_int_equal(seteuid(root), 0);
	assert_int_equal(fault.error, -EACCES);
	assert_non_null(strstr(fault.text, "CAP_NET_BIND_SERVICE"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_datagram_gets_its_headers_back, set_up),
		cmocka_unit_test_setup(ipv6_works_likewise, set_up),
		cmocka_unit_test_setup(each_flow_gets_its_own_packets_in_order, set_up),
		cmocka_unit_test_setup(a_source_filter_lets_only_its_source_through, set_up),
		cmocka_unit_test_setup(the_same_group_on_two_interfaces_is_two_flows, set_up),
		cmocka_unit_test_setup(drops_of_a_small_buffer_are_counted_exactly, set_up),
		cmocka_unit_test_setup(ten_thousand_a_second_arrive_without_loss, set_up),
		cmocka_unit_test_setup(what_cannot_be_had_is_one_clear_line, set_up),
		cmocka_unit_test_setup(a_privileged_port_names_the_capability, set_up),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
