/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says about sockets and interfaces, in crafted messages and its own. */
#include "holder/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct nt_network network;

static int set_up(void **state)
{
	(void)state;
	memset(&network, 0, sizeof(network));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nt_network_free(&network);
	return 0;
}

static struct {
	struct nlmsghdr header;
	char body[512];
} message;

static void begin(uint16_t type, const void *facts, uint32_t bytes)
{
	memset(&message, 0, sizeof(message));
	message.header.nlmsg_type = type;
	message.header.nlmsg_len = NLMSG_LENGTH(bytes);
	memcpy(NLMSG_DATA(&message.header), facts, bytes);
}

/* Appends an attribute, and returns it, so that the length of one that holds others can be mended. */
static struct rtattr *append(uint16_t type, const void *value, size_t bytes)
{
	struct rtattr *attribute = (void *)((char *)&message + NLMSG_ALIGN(message.header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(bytes);
	if (bytes)
		memcpy(RTA_DATA(attribute), value, bytes);
	message.header.nlmsg_len = NLMSG_ALIGN(message.header.nlmsg_len) + attribute->rta_len;
	return attribute;
}

static void close_nest(struct rtattr *attribute)
{
	attribute->rta_len = (uint16_t)((char *)&message + message.header.nlmsg_len - (char *)attribute);
}

static void make_socket(uint8_t family, const char *address, const char *peer, int v6_only)
{
	struct inet_diag_msg facts = {
		.idiag_family = family,
		.id = {.idiag_sport = htons(30001), .idiag_if = 5},
		.idiag_uid = 1000,
		.idiag_inode = 77,
	};
	uint8_t flag = (uint8_t)v6_only;

	inet_pton(family, address, facts.id.idiag_src);
	inet_pton(family, peer, facts.id.idiag_dst);
	begin(SOCK_DIAG_BY_FAMILY, &facts, sizeof(facts));
	if (v6_only >= 0) {
		append(INET_DIAG_SHUTDOWN, &(uint8_t){0}, 1);
		append(INET_DIAG_SKV6ONLY, &flag, 1);
	}
}

static const struct nt_udp_socket *taken(void)
{
	assert_int_equal(nt_network_take_socket(&network, &message.header), 0);
	return &network.sockets[network.socket_count - 1];
}

static void an_ipv4_socket_is_read(void **state)
{
	const uint8_t group[16] = {239, 1, 1, 1};
	const uint8_t peer[16] = {10, 0, 0, 7};
	const struct nt_udp_socket *socket;

	(void)state;
	make_socket(AF_INET, "239.1.1.1", "10.0.0.7", -1);
	socket = taken();
	assert_memory_equal(socket->address, group, 16);
	assert_memory_equal(socket->peer, peer, 16);
	assert_int_equal(socket->family, NT_FAMILY_IPV4);
	assert_int_equal(socket->port, 30001);
	assert_int_equal(socket->device, 5);
	assert_int_equal(socket->uid, 1000);
	assert_int_equal(socket->inode, 77);
	assert_true(socket->takes_ipv4 && !socket->takes_ipv6);
}

static void assert_takes(const char *address, const char *peer, int v6_only, bool ipv4, bool ipv6, uint16_t family)
{
	const struct nt_udp_socket *socket;

	make_socket(AF_INET6, address, peer, v6_only);
	socket = taken();
	assert_int_equal(socket->takes_ipv4, ipv4);
	assert_int_equal(socket->takes_ipv6, ipv6);
	assert_int_equal(socket->family, family);
}

static void an_ipv6_socket_takes_the_families_that_its_addresses_leave(void **state)
{
	const uint8_t group[16] = {239, 1, 1, 1};

	(void)state;
	assert_takes("::", "::", 0, true, true, NT_FAMILY_IPV6);
	assert_takes("::", "::", -1, true, true, NT_FAMILY_IPV6);
	assert_takes("::", "::", 1, false, true, NT_FAMILY_IPV6);
	assert_takes("ff15::99", "::", 0, false, true, NT_FAMILY_IPV6);
	assert_takes("ff15::99", "fd00::7", -1, false, true, NT_FAMILY_IPV6);
	assert_takes("::", "fd00::7", -1, false, true, NT_FAMILY_IPV6);
	assert_takes("::", "::ffff:10.0.0.7", -1, true, false, NT_FAMILY_IPV4);
	assert_takes("::ffff:239.1.1.1", "::", 0, true, false, NT_FAMILY_IPV4);
	assert_memory_equal(network.sockets[network.socket_count - 1].address, group, 16);
}

static void make_link(const char *kind, uint16_t vlan, bool elsewhere)
{
	const struct ifinfomsg facts = {.ifi_index = 9};
	struct rtattr *info, *data;

	begin(RTM_NEWLINK, &facts, sizeof(facts));
	append(IFLA_IFNAME, "any", 4);
	append(IFLA_LINK, &(uint32_t){2}, 4);
	append(IFLA_MASTER, &(uint32_t){12}, 4);
	if (elsewhere)
		append(IFLA_LINK_NETNSID, &(int32_t){0}, 4);
	info = append(IFLA_LINKINFO, NULL, 0);
	append(IFLA_INFO_KIND, kind, strlen(kind) + 1);
	data = append(IFLA_INFO_DATA, NULL, 0);
	append(IFLA_VLAN_FLAGS, &(uint64_t){0}, 8);
	append(IFLA_VLAN_ID, &vlan, 2);
	close_nest(data);
	close_nest(info);
}

static void a_vlan_device_is_read(void **state)
{
	(void)state;
	make_link("vlan", 100, false);
	assert_int_equal(nt_network_take_link(&network, &message.header), 0);
	assert_int_equal(network.links[0].device, 9);
	assert_int_equal(network.links[0].lower, 2);
	assert_int_equal(network.links[0].master, 12);
	assert_int_equal(network.links[0].kind, NT_LINK_VLAN);
	assert_int_equal(network.links[0].vlan, 100);
}

static void a_device_on_one_of_another_namespace_stands_on_none_here(void **state)
{
	(void)state;
	make_link("macvlan", 0, true);
	assert_int_equal(nt_network_take_link(&network, &message.header), 0);
	assert_int_equal(network.links[0].kind, NT_LINK_SHARE);
	assert_int_equal(network.links[0].lower, 0);
}

static void the_end_of_a_veth_stands_on_nothing(void **state)
{
	(void)state;
	make_link("veth", 0, false);
	assert_int_equal(nt_network_take_link(&network, &message.header), 0);
	assert_int_equal(network.links[0].kind, NT_LINK_OTHER);
}

/* In memory of just that size, so that the sanitizer sees a read behind it. */
static void take_cut(nt_netlink_take take, uint32_t bytes)
{
	struct nlmsghdr *cut = malloc(bytes);
	int error;

	assert_non_null(cut);
	memcpy(cut, &message, bytes);
	cut->nlmsg_len = bytes;
	error = take(&network, cut);
	assert_true(error == 0 || error == -EBADMSG);
	free(cut);
}

static void messages_cut_anywhere_are_read_no_further(void **state)
{
	(void)state;
	make_socket(AF_INET6, "::", "::", 1);
	for (uint32_t bytes = sizeof(struct nlmsghdr); bytes <= message.header.nlmsg_len; bytes++)
		take_cut(nt_network_take_socket, bytes);
	make_link("vlan", 100, false);
	for (uint32_t bytes = sizeof(struct nlmsghdr); bytes <= message.header.nlmsg_len; bytes++)
		take_cut(nt_network_take_link, bytes);
}

static int bind_somewhere(uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static uint32_t inode_of_port(uint16_t port)
{
	for (uint32_t at = 0; at < network.socket_count; at++)
		if (network.sockets[at].port == port && network.sockets[at].family == NT_FAMILY_IPV4)
			return network.sockets[at].inode;
	return 0;
}

/* So many that the kernel needs several datagrams for them. */
static void every_socket_of_this_host_is_read_with_its_inode(void **state)
{
	static struct {
		struct stat status;
		uint16_t port;
		int fd;
	} opened[600];
	const size_t count = sizeof(opened) / sizeof(opened[0]);
	struct nt_fault fault;

	(void)state;
	for (size_t at = 0; at < count; at++) {
		opened[at].fd = bind_somewhere(&opened[at].port);
		assert_int_equal(fstat(opened[at].fd, &opened[at].status), 0);
	}
	assert_int_equal(nt_network_read(&network, &fault), 0);
	for (size_t at = 0; at < count; at++) {
		assert_int_equal(inode_of_port(opened[at].port), (uint32_t)opened[at].status.st_ino);
		close(opened[at].fd);
	}
	assert_true(network.link_count > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_ipv4_socket_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_ipv6_socket_takes_the_families_that_its_addresses_leave, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_vlan_device_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_device_on_one_of_another_namespace_stands_on_none_here, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_end_of_a_veth_stands_on_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(messages_cut_anywhere_are_read_no_further, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_socket_of_this_host_is_read_with_its_inode, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
