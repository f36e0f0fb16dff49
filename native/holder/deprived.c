/* SPDX-License-Identifier: Apache-2.0 */
/* Which sockets an AF_XDP source takes packets from. The kernel hands a multicast packet to a socket when the port is its own, the
 * device it is bound to is the packet's or none, its address is the group or any, and the group is joined on the device that the
 * packet came in by: by this socket or, since IP_MULTICAST_ALL is the default, by any other. Which socket joined what, the kernel
 * does not tell. Nobody is deprived of what only our own joins bring. */
#include "network.h"

#include <string.h>

#define NT_PTP_EVENT_PORT 319
#define NT_PTP_GENERAL_PORT 320

static bool is_any(const uint8_t address[16])
{
	static const uint8_t any[16];

	return memcmp(address, any, sizeof(any)) == 0;
}

static bool is_multicast(const uint8_t address[16], uint32_t family)
{
	return family == NT_FAMILY_IPV4 ? (address[0] & 0xF0) == 0xE0 : address[0] == 0xFF;
}

/* Joined by the kernel itself on every interface: all hosts, all routers, and who has this address (solicited-node). */
static bool is_kernels_own(const uint8_t group[16], uint32_t family)
{
	static const uint8_t all_hosts4[16] = {224, 0, 0, 1};
	static const uint8_t solicited_node[13] = {0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF};
	static const uint8_t zeros[13];

	if (family == NT_FAMILY_IPV4)
		return memcmp(group, all_hosts4, sizeof(all_hosts4)) == 0;
	return memcmp(group, solicited_node, sizeof(solicited_node)) == 0 ||
	       (group[0] == 0xFF && memcmp(group + 2, zeros, sizeof(zeros)) == 0 && (group[15] == 1 || group[15] == 2));
}

static bool takes_family(const struct nt_udp_socket *socket, uint32_t family)
{
	return family == NT_FAMILY_IPV4 ? socket->takes_ipv4 : socket->takes_ipv6;
}

static bool is_on(const struct nt_plan_source *source, const struct nt_flow *flow)
{
	return strncmp(flow->interface, source->interface, sizeof(flow->interface)) == 0;
}

void nt_network_mark_ours(const struct nt_network *network, const struct nt_plan *plan, const struct nt_plan_source *source,
			  uint32_t base)
{
	if (source->join == NT_JOIN_NONE)
		return;
	for (uint32_t at = 0; at < plan->header->flow_count; at++) {
		const struct nt_flow *flow = &plan->flows[at];
		uint32_t count = 0;
		struct nt_membership *found =
			is_on(source, flow) ? nt_network_find_group(network, flow->group, flow->family, &count) : NULL;

		for (uint32_t one = 0; one < count; one++) {
			if (found[one].device != base)
				continue;
			found[one].ours_from_any |= is_any(flow->source);
			found[one].ours_from_named |= !is_any(flow->source);
		}
	}
}

/* By somebody else. Our holder joins once from any source, and once or more (a socket holds only so many sources) from named ones. */
static bool is_joined(const struct nt_membership *membership)
{
	return membership->users > (uint32_t)membership->ours_from_any + (uint32_t)membership->ours_from_named;
}

/* Whether it gets packets to this group that come in at the base. A socket that is bound to a group which nobody has joined
 * anywhere is about to join it; one that joined it on another interface alone gets its packets there and loses nothing. */
static bool reads_group(const struct nt_deprivation *deprivation, const struct nt_udp_socket *socket, const uint8_t group[16],
			uint32_t family, uint16_t vlan)
{
	const struct nt_network *network = deprivation->network;
	const struct nt_membership *memberships;
	bool bound = !is_any(socket->address);
	bool elsewhere = false;
	uint32_t count;

	if (!takes_family(socket, family) || (bound && memcmp(socket->address, group, sizeof(socket->address)) != 0) ||
	    (socket->device && !nt_network_delivers(network, deprivation->base, vlan, socket->device)))
		return false;
	if (!is_multicast(group, family))
		return true;
	memberships = nt_network_find_group(network, group, family, &count);
	for (uint32_t at = 0; at < count; at++) {
		if (!is_joined(&memberships[at]))
			continue;
		if (nt_network_delivers(network, deprivation->base, vlan, memberships[at].device))
			return true;
		elsewhere = true;
	}
	return bound && (socket->device || !elsewhere);
}

/* Also where it is connected: it then gets this sender's packets only. */
static bool reads_flow(const struct nt_deprivation *deprivation, const struct nt_udp_socket *socket, const struct nt_flow *flow)
{
	if (flow->port != socket->port || !is_on(deprivation->source, flow))
		return false;
	if (!is_any(socket->peer) && !is_any(flow->source) &&
	    (socket->family != flow->family || memcmp(socket->peer, flow->source, sizeof(socket->peer)) != 0))
		return false;
	return reads_group(deprivation, socket, flow->group, flow->family, flow->vlan);
}

/* What a socket bound to no address reads cannot be told from outside: any group that somebody has joined. The kernel's own do not
 * count, or every such socket would be a listener, on every host. */
static bool reads_some_group(const struct nt_deprivation *deprivation, const struct nt_udp_socket *socket)
{
	const struct nt_network *network = deprivation->network;

	for (uint32_t at = 0; at < network->membership_count; at++) {
		const struct nt_membership *membership = &network->memberships[at];

		if (!is_kernels_own(membership->group, membership->family) && is_joined(membership) &&
		    nt_network_delivers(network, deprivation->base, NT_VLAN_ANY, membership->device) &&
		    reads_group(deprivation, socket, membership->group, membership->family, NT_VLAN_ANY))
			return true;
	}
	return false;
}

/* Unicast and broadcast. Without an address on the base and above it, nobody sends there; a socket bound to no address then loses
 * nothing. */
static bool reads_address(const struct nt_deprivation *deprivation, const struct nt_udp_socket *socket)
{
	static const uint8_t broadcast[16] = {255, 255, 255, 255};
	const struct nt_network *network = deprivation->network;

	if (socket->device && !nt_network_delivers(network, deprivation->base, NT_VLAN_ANY, socket->device))
		return false;
	if (socket->family == NT_FAMILY_IPV4 && memcmp(socket->address, broadcast, sizeof(broadcast)) == 0)
		return true;
	for (uint32_t at = 0; at < network->address_count; at++) {
		const struct nt_local_address *local = &network->addresses[at];

		if (takes_family(socket, local->family) &&
		    (is_any(socket->address) || memcmp(socket->address, local->address, sizeof(local->address)) == 0) &&
		    nt_network_delivers(network, deprivation->base, NT_VLAN_ANY, local->device))
			return true;
	}
	return false;
}

/* What `select` takes beside the flows; never PTP, which the clock needs. */
static bool reads_other(const struct nt_deprivation *deprivation, const struct nt_udp_socket *socket)
{
	uint32_t select = deprivation->source->select;

	if (select == NT_SELECT_CHANNELS || socket->port == NT_PTP_EVENT_PORT || socket->port == NT_PTP_GENERAL_PORT)
		return false;
	if (is_multicast(socket->address, socket->family))
		return reads_group(deprivation, socket, socket->address, socket->family, NT_VLAN_ANY);
	if (is_any(socket->address) && reads_some_group(deprivation, socket))
		return true;
	return select >= NT_SELECT_UDP && reads_address(deprivation, socket);
}

bool nt_deprives(const struct nt_deprivation *deprivation, const struct nt_udp_socket *socket, uint32_t *flow_id)
{
	const struct nt_plan *plan = deprivation->plan;

	for (uint32_t at = 0; at < plan->header->flow_count; at++)
		if (reads_flow(deprivation, socket, &plan->flows[at])) {
			*flow_id = plan->flows[at].id;
			return true;
		}
	*flow_id = NT_FLOW_OTHER;
	return reads_other(deprivation, socket);
}
