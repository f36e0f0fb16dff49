/* SPDX-License-Identifier: Apache-2.0 */
/* A source on eth1 with one flow, interfaces that stand on each other, and a socket that reads the flow, for tests to differ from. */
#ifndef NT_LISTENERS_FIXTURE_H
#define NT_LISTENERS_FIXTURE_H

#include "holder/listeners.h"
#include "holder/network.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BASE 2u /* eth1, the source's interface; others are named where they stand */
#define VLAN_DEVICE 10u
#define INNER_VLAN_DEVICE 11u
#define BOND 12u
#define BOND_VLAN_DEVICE 13u
#define MACVLAN 14u
#define ELSEWHERE 3u

static struct nt_plan_header header;
static struct nt_plan_source source;
static struct nt_flow flows[3];
static struct nt_plan plan;
static struct nt_udp_socket reader;
static struct nt_membership memberships[8];
static struct nt_local_address addresses[4];
static struct nt_network network;
static struct nt_deprivation deprivation;
static bool joined; /* our own holder runs */

static const struct nt_link links[] = {
	{.device = BASE, .master = BOND},
	{.device = ELSEWHERE},
	{.device = VLAN_DEVICE, .lower = BASE, .kind = NT_LINK_VLAN, .vlan = 100},
	{.device = INNER_VLAN_DEVICE, .lower = VLAN_DEVICE, .kind = NT_LINK_VLAN, .vlan = 7},
	{.device = BOND},
	{.device = BOND_VLAN_DEVICE, .lower = BOND, .kind = NT_LINK_VLAN, .vlan = 200},
	{.device = MACVLAN, .lower = BASE, .kind = NT_LINK_SHARE},
};

static inline void set_address(uint8_t address[16], const char *text)
{
	memset(address, 0, 16);
	assert_int_equal(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, address), 1);
}

static inline uint16_t family_of(const char *text)
{
	return strchr(text, ':') ? NT_FAMILY_IPV6 : NT_FAMILY_IPV4;
}

static inline void set_flow(uint32_t at, const char *group, uint16_t port)
{
	flows[at] =
		(struct nt_flow){.id = at + 1, .family = family_of(group), .port = port, .vlan = NT_VLAN_NONE, .interface = "eth1"};
	set_address(flows[at].group, group);
	header.flow_count = at + 1;
}

static inline void bind_reader(const char *address, uint16_t port)
{
	reader = (struct nt_udp_socket){.family = family_of(address), .port = port};
	reader.takes_ipv4 = reader.family == NT_FAMILY_IPV4;
	reader.takes_ipv6 = !reader.takes_ipv4;
	set_address(reader.address, address);
}

static inline void join(const char *group, uint32_t device, uint32_t users)
{
	struct nt_membership *added = &memberships[network.membership_count++];

	*added = (struct nt_membership){.family = family_of(group), .device = device, .users = users};
	set_address(added->group, group);
}

static inline void add_address(const char *address, uint32_t device)
{
	struct nt_local_address *added = &addresses[network.address_count++];

	*added = (struct nt_local_address){.family = family_of(address), .device = device};
	set_address(added->address, address);
}

/* One flow, and a socket that joined it and is bound to its group. */
static inline int set_up(void **state)
{
	(void)state;
	joined = false;
	memset(&header, 0, sizeof(header));
	header.source_count = 1;
	source = (struct nt_plan_source){.kind = NT_SOURCE_AFXDP, .interface = "eth1", .join = NT_JOIN_IGMP};
	plan = (struct nt_plan){.header = &header, .sources = &source, .flows = flows};
	network = (struct nt_network){.memberships = memberships, .addresses = addresses, .links = (struct nt_link *)links};
	network.link_count = sizeof(links) / sizeof(links[0]);
	deprivation = (struct nt_deprivation){.network = &network, .plan = &plan, .source = &source, .base = BASE};
	set_flow(0, "239.1.1.1", 30001);
	bind_reader("239.1.1.1", 30001);
	join("239.1.1.1", BASE, 1);
	return 0;
}

/* The flow that it is deprived of; -1: of none. */
static inline int deprived_of(void)
{
	uint32_t flow_id;

	nt_network_sort_memberships(&network);
	for (uint32_t at = 0; at < network.membership_count; at++)
		network.memberships[at].ours_from_any = network.memberships[at].ours_from_named = false;
	if (joined)
		nt_network_mark_ours(&network, &plan, &source, BASE);
	return nt_deprives(&deprivation, &reader, &flow_id) ? (int)flow_id : -1;
}

#endif
