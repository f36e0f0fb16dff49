/* SPDX-License-Identifier: Apache-2.0 */
/* Group memberships, and the promiscuous mode of an interface. An unbound socket queues no data; as long as it is open, the kernel answers IGMP and MLD queries and keeps the
 * NIC's multicast filter. */
#include "holder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void make_address(struct sockaddr_storage *address, uint16_t family, const uint8_t bytes[16])
{
	memset(address, 0, sizeof(*address));
	if (family == NT_FAMILY_IPV4) {
		struct sockaddr_in *in = (struct sockaddr_in *)address;

		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, bytes, sizeof(in->sin_addr));
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

		in6->sin6_family = AF_INET6;
		memcpy(&in6->sin6_addr, bytes, sizeof(in6->sin6_addr));
	}
}

static bool is_any(const struct nt_flow *flow)
{
	static const uint8_t any[16];

	return memcmp(flow->source, any, sizeof(any)) == 0;
}

static int join(int fd, const struct nt_flow *flow, int ifindex)
{
	int level = flow->family == NT_FAMILY_IPV4 ? IPPROTO_IP : IPPROTO_IPV6;
	struct group_source_req specific = {.gsr_interface = (uint32_t)ifindex};
	struct group_req any = {.gr_interface = (uint32_t)ifindex};

	if (is_any(flow)) {
		make_address(&any.gr_group, flow->family, flow->group);
		return setsockopt(fd, level, MCAST_JOIN_GROUP, &any, sizeof(any)) ? -errno : 0;
	}
	make_address(&specific.gsr_group, flow->family, flow->group);
	make_address(&specific.gsr_source, flow->family, flow->source);
	return setsockopt(fd, level, MCAST_JOIN_SOURCE_GROUP, &specific, sizeof(specific)) ? -errno : 0;
}

static int add_socket(struct nt_joins *joins, int family, int type)
{
	int *grown = realloc(joins->sockets, (joins->count + 1) * sizeof(*grown));
	int fd;

	if (!grown)
		return -ENOMEM;
	joins->sockets = grown;
	fd = socket(family, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	joins->sockets[joins->count++] = fd;
	return fd;
}

/* A socket takes only so many groups (20 by default, ENOBUFS), and not a group both from any and from one source (EINVAL, EADDRINUSE):
 * each of these is no reason to fail until a fresh socket refuses too. */
static int join_somewhere(struct nt_joins *joins, const struct nt_flow *flow, int ifindex, int *current)
{
	int error = *current >= 0 ? join(*current, flow, ifindex) : -ENOBUFS;

	if (error != -ENOBUFS && error != -ENOMEM && error != -EINVAL && error != -EADDRINUSE)
		return error;
	*current = add_socket(joins, flow->family == NT_FAMILY_IPV4 ? AF_INET : AF_INET6, SOCK_DGRAM);
	return *current < 0 ? *current : join(*current, flow, ifindex);
}

/* Flows that differ in port or VLAN only share a membership. */
static int compare_memberships(const struct nt_flow *left, const struct nt_flow *right)
{
	int order = (int)left->family - (int)right->family;

	/* From any source first: each socket then holds as many as it can before a group comes up in both ways. */
	if (!order)
		order = (int)is_any(right) - (int)is_any(left);
	if (!order)
		order = memcmp(left->group, right->group, sizeof(left->group));
	return order ? order : memcmp(left->source, right->source, sizeof(left->source));
}

static int compare_entries(const void *left, const void *right)
{
	const struct nt_flow *const *a = left, *const *b = right;
	int order = compare_memberships(*a, *b);

	return order ? order : (*a > *b) - (*a < *b); /* the first of the plan stands for all */
}

static bool is_multicast(const struct nt_flow *flow)
{
	return flow->family == NT_FAMILY_IPV4 ? (flow->group[0] & 0xF0) == 0xE0 : flow->group[0] == 0xFF;
}

static int explain_join(struct nt_fault *fault, int error, const struct nt_flow *flow)
{
	char group[INET6_ADDRSTRLEN] = "?";

	inet_ntop(flow->family == NT_FAMILY_IPV4 ? AF_INET : AF_INET6, flow->group, group, sizeof(group));
	return nt_fault_set(fault, error, "%s: cannot join %s (channel %s, line %s): %s", flow->interface, group, flow->channel,
			    flow->line, strerror(-error));
}

/* The flows of this source that need a membership, in order. */
static uint32_t collect(const struct nt_flow **flows, const struct nt_plan *plan, const struct nt_plan_source *source, bool *tagged)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < plan->header->flow_count; i++) {
		const struct nt_flow *flow = &plan->flows[i];

		if (strncmp(flow->interface, source->interface, sizeof(flow->interface)) != 0 || !is_multicast(flow))
			continue;
		*tagged |= flow->vlan != NT_VLAN_NONE && flow->vlan != 0;
		flows[count++] = flow;
	}
	qsort(flows, count, sizeof(*flows), compare_entries);
	return count;
}

static int join_all(struct nt_joins *joins, const struct nt_flow **flows, uint32_t count, int ifindex, struct nt_fault *fault)
{
	int current[2] = {-1, -1}; /* by family */

	for (uint32_t i = 0; i < count; i++) {
		int error;

		if (i && compare_memberships(flows[i - 1], flows[i]) == 0)
			continue;
		error = join_somewhere(joins, flows[i], ifindex, &current[flows[i]->family == NT_FAMILY_IPV6]);
		if (error)
			return explain_join(fault, error, flows[i]);
	}
	return 0;
}

/* Protocol 0: the socket takes no packet. A packet source's own does it itself. */
static int make_promiscuous(struct nt_joins *joins, const struct nt_plan_source *source, int ifindex, struct nt_fault *fault)
{
	int fd;
	int error;

	if (!source->promiscuous || source->kind != NT_SOURCE_AFXDP)
		return 0;
	fd = add_socket(joins, AF_PACKET, SOCK_RAW);
	error = fd < 0 ? fd : nt_packet_promiscuous(fd, ifindex);
	return error ? nt_fault_set(fault, error, "%s: cannot be made promiscuous: %s", source->interface, strerror(-error)) : 0;
}

int nt_joins_open(struct nt_joins *joins, const struct nt_plan *plan, const struct nt_plan_source *source, int ifindex,
		  struct nt_fault *fault)
{
	const struct nt_flow **flows;
	bool tagged = false;
	int error = make_promiscuous(joins, source, ifindex, fault);

	if (error || source->join == NT_JOIN_NONE)
		return error;
	flows = calloc(plan->header->flow_count + 1, sizeof(*flows));
	if (!flows)
		return nt_fault_set(fault, -ENOMEM, "%s: no memory for %u joins", source->interface, plan->header->flow_count);
	error = join_all(joins, flows, collect(flows, plan, source, &tagged), ifindex, fault);
	free(flows);
	if (error)
		return error;
	if (tagged)
		nt_holder_say(
			NT_LEVEL_WARNING,
			"%s: groups of tagged flows are joined untagged: a switch that snoops IGMP inside a VLAN needs a join on the VLAN's own interface, or a static entry",
			source->interface);
	return 0;
}

void nt_joins_close(struct nt_joins *joins)
{
	for (uint32_t i = 0; i < joins->count; i++)
		close(joins->sockets[i]);
	free(joins->sockets);
	joins->sockets = NULL;
	joins->count = 0;
}
