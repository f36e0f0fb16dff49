/* SPDX-License-Identifier: Apache-2.0 */
/* One flow's socket: bound to group and port, joined on its interface, stamping. */
#include "socket_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

/* "eth0: group 239.1.1.1 port 30001" */
struct nt_flow_text {
	char text[INET6_ADDRSTRLEN + 48];
};

static struct nt_flow_text nt_flow_describe(const struct nt_flow *flow)
{
	struct nt_flow_text described;
	char group[INET6_ADDRSTRLEN];

	inet_ntop(flow->family == NT_FAMILY_IPV4 ? AF_INET : AF_INET6, flow->group, group, sizeof(group));
	snprintf(described.text, sizeof(described.text), "%s: group %s port %u", flow->interface, group, flow->port);
	return described;
}

static socklen_t nt_socket_address(struct sockaddr_storage *address, uint16_t family, const uint8_t *ip, uint16_t port,
				   uint32_t scope)
{
	memset(address, 0, sizeof(*address));
	if (family == NT_FAMILY_IPV4) {
		struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;

		ipv4->sin_family = AF_INET;
		ipv4->sin_port = htons(port);
		memcpy(&ipv4->sin_addr, ip, 4);
		return sizeof(*ipv4);
	}
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;

	ipv6->sin6_family = AF_INET6;
	ipv6->sin6_port = htons(port);
	ipv6->sin6_scope_id = scope;
	memcpy(&ipv6->sin6_addr, ip, 16);
	return sizeof(*ipv6);
}

static int nt_socket_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int nt_socket_set_options(int fd, const struct nt_flow *flow, uint32_t receive_buffer_bytes, struct nt_fault *fault)
{
	bool ipv4 = flow->family == NT_FAMILY_IPV4;
	int error = nt_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (!error)
		error = nt_socket_set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	/* Else a socket gets every group that any process on this host has joined. */
	if (!error)
		error = ipv4 ? nt_socket_set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0)
			     : nt_socket_set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	if (!error)
		error = ipv4 ? nt_socket_set(fd, IPPROTO_IP, IP_RECVTTL, 1) : nt_socket_set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	if (!error && !ipv4)
		error = nt_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	/* IPv4 delivers by membership, which names the interface; IPv6 looks at the group alone. */
	if (!error && !ipv4 && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, flow->interface, (socklen_t)strlen(flow->interface)) < 0)
		error = -errno;
	if (!error && receive_buffer_bytes && nt_socket_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)receive_buffer_bytes) < 0)
		error = nt_socket_set(fd, SOL_SOCKET, SO_RCVBUF, (int)receive_buffer_bytes);
	if (error)
		return nt_fault_set(fault, error, "%s: the kernel refuses a socket option: %s", nt_flow_describe(flow).text,
				    strerror(-error));
	return 0;
}

static int nt_socket_bind(int fd, const struct nt_flow *flow, uint32_t interface, struct nt_fault *fault)
{
	struct sockaddr_storage address;
	socklen_t bytes = nt_socket_address(&address, flow->family, flow->group, flow->port, interface);

	if (!bind(fd, (struct sockaddr *)&address, bytes))
		return 0;
	switch (errno) {
	case EACCES:
		return nt_fault_set(fault, -EACCES,
				    "%s: this port needs CAP_NET_BIND_SERVICE, or net.ipv4.ip_unprivileged_port_start = %u",
				    nt_flow_describe(flow).text, flow->port);
	case EADDRINUSE:
		return nt_fault_set(fault, -EADDRINUSE,
				    "%s: in use by a process that does not share it; `ss -ulpn 'sport = :%u'` names it",
				    nt_flow_describe(flow).text, flow->port);
	case EADDRNOTAVAIL:
		return nt_fault_set(fault, -EADDRNOTAVAIL, "%s: neither a multicast group nor an address of this host",
				    nt_flow_describe(flow).text);
	default:
		return nt_fault_set(fault, -errno, "%s: cannot bind: %s", nt_flow_describe(flow).text, strerror(errno));
	}
}

static bool nt_group_is_multicast(const struct nt_flow *flow)
{
	return flow->family == NT_FAMILY_IPV4 ? (flow->group[0] & 0xF0) == 0xE0 : flow->group[0] == 0xFF;
}

static int nt_socket_join(int fd, const struct nt_flow *flow, uint32_t interface, struct nt_fault *fault)
{
	static const uint8_t any[16];
	int level = flow->family == NT_FAMILY_IPV4 ? IPPROTO_IP : IPPROTO_IPV6;
	struct group_source_req from = {.gsr_interface = interface};
	struct group_req group = {.gr_interface = interface};
	int failed;

	if (!nt_group_is_multicast(flow))
		return 0;
	nt_socket_address(&group.gr_group, flow->family, flow->group, 0, 0);
	if (memcmp(flow->source, any, sizeof(any)) != 0) {
		from.gsr_group = group.gr_group;
		nt_socket_address(&from.gsr_source, flow->family, flow->source, 0, 0);
		failed = setsockopt(fd, level, MCAST_JOIN_SOURCE_GROUP, &from, sizeof(from));
	} else {
		failed = setsockopt(fd, level, MCAST_JOIN_GROUP, &group, sizeof(group));
	}
	if (!failed)
		return 0;
	return nt_fault_set(fault, -errno, "%s: cannot join: %s; is the interface up, and has it an address?",
			    nt_flow_describe(flow).text, strerror(errno));
}

int nt_socket_flow_open(const struct nt_flow *flow, uint32_t receive_buffer_bytes, struct nt_fault *fault)
{
	uint32_t interface = if_nametoindex(flow->interface);
	int error, fd;

	if (!interface)
		return nt_fault_set(fault, -ENODEV, "%s: no such interface here; `ip link` lists those there are", flow->interface);
	fd = socket(flow->family == NT_FAMILY_IPV4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 && errno == EMFILE)
		return nt_fault_set(fault, -EMFILE,
				    "%s: too many open files: a socket source needs one a flow; raise RLIMIT_NOFILE",
				    nt_flow_describe(flow).text);
	if (fd < 0)
		return nt_fault_set(fault, -errno, "%s: no socket: %s", nt_flow_describe(flow).text, strerror(errno));
	error = nt_socket_set_options(fd, flow, receive_buffer_bytes, fault);
	if (!error)
		error = nt_socket_bind(fd, flow, interface, fault);
	if (!error)
		error = nt_socket_join(fd, flow, interface, fault);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}
