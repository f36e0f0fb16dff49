/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP sockets of this network namespace that are bound to a port (sock_diag(7)). */
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static bool is_any(const uint8_t address[16])
{
	static const uint8_t any[16];

	return memcmp(address, any, sizeof(any)) == 0;
}

static bool is_mapped(const void *address)
{
	return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address);
}

static void unmap(uint8_t address[16])
{
	memmove(address, address + 12, 4);
	memset(address + 4, 0, 12);
}

/* Only unconnected sockets come with it; the address of a connected one says which family it takes. */
static bool is_v6_only(const struct nlmsghdr *message)
{
	const struct rtattr *attribute =
		(const void *)((const char *)NLMSG_DATA(message) + NLMSG_ALIGN(sizeof(struct inet_diag_msg)));
	long bytes = (long)message->nlmsg_len - (long)NLMSG_SPACE(sizeof(struct inet_diag_msg)); /* the macros take it below zero */

	for (; RTA_OK(attribute, bytes); attribute = RTA_NEXT(attribute, bytes))
		if (attribute->rta_type == INET_DIAG_SKV6ONLY && RTA_PAYLOAD(attribute) >= 1)
			return *(const uint8_t *)RTA_DATA(attribute) != 0;
	return false;
}

/* A socket of either family that is bound to no address takes both, unless told otherwise or connected. */
static void set_families(struct nt_udp_socket *socket, bool v6_only)
{
	bool mapped = is_mapped(socket->address) || is_mapped(socket->peer);

	socket->takes_ipv4 = mapped || (is_any(socket->address) && is_any(socket->peer) && !v6_only);
	socket->takes_ipv6 = !mapped;
	socket->family = mapped ? NT_FAMILY_IPV4 : NT_FAMILY_IPV6;
	if (is_mapped(socket->address))
		unmap(socket->address);
	if (is_mapped(socket->peer))
		unmap(socket->peer);
}

int nt_network_take_socket(struct nt_network *network, const struct nlmsghdr *message)
{
	const struct inet_diag_msg *facts = NLMSG_DATA(message);
	struct nt_udp_socket *socket;

	if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY || message->nlmsg_len < NLMSG_LENGTH(sizeof(*facts)))
		return -EBADMSG;
	if (facts->idiag_family != AF_INET && facts->idiag_family != AF_INET6)
		return 0;
	socket = nt_network_add((void **)&network->sockets, &network->socket_count, sizeof(*socket));
	if (!socket)
		return -ENOMEM;
	socket->port = ntohs(facts->id.idiag_sport);
	socket->device = facts->id.idiag_if;
	socket->uid = facts->idiag_uid;
	socket->inode = facts->idiag_inode;
	if (facts->idiag_family == AF_INET) {
		memcpy(socket->address, facts->id.idiag_src, 4);
		memcpy(socket->peer, facts->id.idiag_dst, 4);
		socket->family = NT_FAMILY_IPV4;
		socket->takes_ipv4 = true;
	} else {
		memcpy(socket->address, facts->id.idiag_src, 16);
		memcpy(socket->peer, facts->id.idiag_dst, 16);
		set_families(socket, is_v6_only(message));
	}
	return 0;
}

int nt_network_read_sockets(struct nt_network *network)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 wanted;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.wanted = {.sdiag_protocol = IPPROTO_UDP, .idiag_states = ~0u},
	};
	int error = 0;

	network->socket_count = 0;
	for (size_t at = 0; !error && at < sizeof(families); at++) {
		request.wanted.sdiag_family = families[at];
		error = nt_netlink_dump(NETLINK_SOCK_DIAG, &request.header, nt_network_take_socket, network);
	}
	return error;
}
