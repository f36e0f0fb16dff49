/* SPDX-License-Identifier: Apache-2.0 */
/* The network interfaces and how they stand on each other (rtnetlink(7)): a frame that comes in at a NIC reaches sockets through
 * the NIC itself, its bond, bridge or VRF, its VLAN devices and those that share it. */
#include "network.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#define NT_LINKS_DEEP 8 /* the kernel stacks no more */

static uint32_t number(const struct rtattr *attribute, size_t bytes)
{
	uint32_t value = 0;

	if (RTA_PAYLOAD(attribute) == bytes)
		memcpy(&value, RTA_DATA(attribute), bytes);
	return value;
}

static bool is_kind(const struct rtattr *attribute, const char *kind)
{
	size_t bytes = strlen(kind);

	return RTA_PAYLOAD(attribute) >= bytes + 1 && memcmp(RTA_DATA(attribute), kind, bytes + 1) == 0;
}

static uint16_t vlan_id(const struct rtattr *data)
{
	const struct rtattr *attribute = RTA_DATA(data);
	uint16_t id = 0;

	for (long bytes = (long)RTA_PAYLOAD(data); RTA_OK(attribute, bytes); attribute = RTA_NEXT(attribute, bytes))
		if (attribute->rta_type == IFLA_VLAN_ID && RTA_PAYLOAD(attribute) == sizeof(id))
			memcpy(&id, RTA_DATA(attribute), sizeof(id));
	return id;
}

static void read_kind(struct nt_link *link, const struct rtattr *info)
{
	const struct rtattr *attribute = RTA_DATA(info);
	const struct rtattr *data = NULL;

	for (long bytes = (long)RTA_PAYLOAD(info); RTA_OK(attribute, bytes); attribute = RTA_NEXT(attribute, bytes)) {
		if (attribute->rta_type == IFLA_INFO_DATA)
			data = attribute;
		if (attribute->rta_type != IFLA_INFO_KIND)
			continue;
		if (is_kind(attribute, "vlan"))
			link->kind = NT_LINK_VLAN;
		else if (is_kind(attribute, "macvlan") || is_kind(attribute, "macvtap") || is_kind(attribute, "ipvlan") ||
			 is_kind(attribute, "ipvtap"))
			link->kind = NT_LINK_SHARE;
	}
	if (link->kind == NT_LINK_VLAN && data)
		link->vlan = vlan_id(data);
}

int nt_network_take_link(struct nt_network *network, const struct nlmsghdr *message)
{
	const struct ifinfomsg *facts = NLMSG_DATA(message);
	const struct rtattr *attribute = (const void *)((const char *)facts + NLMSG_ALIGN(sizeof(*facts)));
	long bytes = (long)message->nlmsg_len - (long)NLMSG_SPACE(sizeof(*facts));
	bool elsewhere = false;
	struct nt_link *link;

	if (message->nlmsg_type != RTM_NEWLINK || bytes < 0)
		return -EBADMSG;
	link = nt_network_add((void **)&network->links, &network->link_count, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->device = (uint32_t)facts->ifi_index;
	for (; RTA_OK(attribute, bytes); attribute = RTA_NEXT(attribute, bytes)) {
		elsewhere |= attribute->rta_type == IFLA_LINK_NETNSID;
		if (attribute->rta_type == IFLA_MASTER)
			link->master = number(attribute, 4);
		else if (attribute->rta_type == IFLA_LINK)
			link->lower = number(attribute, 4);
		else if (attribute->rta_type == IFLA_LINKINFO)
			read_kind(link, attribute);
	}
	if (elsewhere)
		link->lower = 0; /* an index of another namespace */
	return 0;
}

int nt_network_read_links(struct nt_network *network)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg wanted;
	} request = {
		.header = {.nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.wanted = {.ifi_family = AF_UNSPEC},
	};

	network->link_count = 0;
	return nt_netlink_dump(NETLINK_ROUTE, &request.header, nt_network_take_link, network);
}

static const struct nt_link *find(const struct nt_network *network, uint32_t device)
{
	for (uint32_t at = 0; at < network->link_count; at++)
		if (network->links[at].device == device)
			return &network->links[at];
	return NULL;
}

/* Whether `device` sees the frames of `base` as they came, tags and all. */
static bool carries(const struct nt_network *network, uint32_t base, uint32_t device, int deep)
{
	const struct nt_link *link = find(network, device);

	if (device == base)
		return true;
	if (deep == 0)
		return false;
	if (link && link->kind == NT_LINK_SHARE && carries(network, base, link->lower, deep - 1))
		return true;
	for (uint32_t at = 0; at < network->link_count; at++)
		if (network->links[at].master == device && carries(network, base, network->links[at].device, deep - 1))
			return true;
	return false;
}

static bool delivers(const struct nt_network *network, uint32_t base, uint16_t vlan, uint32_t device, int deep)
{
	const struct nt_link *link = find(network, device);

	if (carries(network, base, device, deep))
		return vlan == NT_VLAN_NONE || vlan == NT_VLAN_ANY;
	if (deep == 0)
		return false;
	if (link && link->kind == NT_LINK_VLAN && carries(network, base, link->lower, deep - 1))
		return vlan == NT_VLAN_ANY || vlan == link->vlan;
	/* On a VLAN device: its inner tags are not asked for, since a flow names only the outermost. */
	if (link && link->kind != NT_LINK_OTHER && delivers(network, base, vlan, link->lower, deep - 1))
		return true;
	for (uint32_t at = 0; at < network->link_count; at++)
		if (network->links[at].master == device && delivers(network, base, vlan, network->links[at].device, deep - 1))
			return true;
	return false;
}

bool nt_network_delivers(const struct nt_network *network, uint32_t base, uint16_t vlan, uint32_t device)
{
	return device && delivers(network, base, vlan ? vlan : NT_VLAN_NONE, device, NT_LINKS_DEEP);
}
