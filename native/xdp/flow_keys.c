/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_keys.h"

#include "../plan/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

_Static_assert((int)NT_XDP_SELECT_CHANNELS == (int)NT_SELECT_CHANNELS, "channels");
_Static_assert((int)NT_XDP_SELECT_MULTICAST == (int)NT_SELECT_MULTICAST, "multicast");
_Static_assert((int)NT_XDP_SELECT_UDP == (int)NT_SELECT_UDP, "udp");
_Static_assert((int)NT_XDP_SELECT_ALL == (int)NT_SELECT_ALL, "all");

static bool is_any(const uint8_t address[16])
{
	static const uint8_t any[16];

	return memcmp(address, any, sizeof(any)) == 0;
}

static bool is_on(const struct nt_flow *flow, const char *interface)
{
	return strncmp(flow->interface, interface, sizeof(flow->interface)) == 0;
}

/* Id 0 marks priority only (802.1Q): such a packet is in no VLAN, and the classifier treats it so. */
static uint16_t vlan_of(const struct nt_flow *flow)
{
	return flow->vlan ? flow->vlan : NT_VLAN_NONE;
}

static void describe_flow(struct nt_selection *selection, const struct nt_flow *flow)
{
	struct nt_xdp_options *options = &selection->options;

	selection->flows4 += flow->family == NT_FAMILY_IPV4;
	selection->flows6 += flow->family == NT_FAMILY_IPV6;
	options->has_tagged |= vlan_of(flow) != NT_VLAN_NONE;
	options->has_any_vlan |= vlan_of(flow) == NT_VLAN_ANY;
	options->has_exact_vlan |= vlan_of(flow) != NT_VLAN_ANY;
	options->has_any_source |= is_any(flow->source);
	options->has_source_specific |= !is_any(flow->source);
	if (flow->id > selection->flow_id_max)
		selection->flow_id_max = flow->id;
}

void nt_flow_keys_describe(struct nt_selection *selection, uint32_t select, const struct nt_flow *flows, uint32_t flow_count,
			   const char *interface)
{
	memset(selection, 0, sizeof(*selection));
	selection->options.select = select;
	for (uint32_t i = 0; i < flow_count; i++)
		if (is_on(&flows[i], interface))
			describe_flow(selection, &flows[i]);
	selection->options.has_v4 = selection->flows4 > 0;
	selection->options.has_v6 = selection->flows6 > 0;
}

static struct nt_flow_key key_of(const struct nt_flow *flow, uint16_t port)
{
	struct nt_flow_key key;

	memset(&key, 0, sizeof(key));
	key.family = flow->family;
	if (flow->family == NT_FAMILY_IPV4) {
		memcpy(&key.v4.group, flow->group, sizeof(key.v4.group));
		memcpy(&key.v4.source, flow->source, sizeof(key.v4.source));
		key.v4.port = htons(port);
		key.v4.vlan = vlan_of(flow);
	} else {
		memcpy(key.v6.group, flow->group, sizeof(key.v6.group));
		memcpy(key.v6.source, flow->source, sizeof(key.v6.source));
		key.v6.port = htons(port);
		key.v6.vlan = vlan_of(flow);
	}
	return key;
}

static int enter_flow(const struct nt_flow *flow, nt_key_enter *enter, void *tables, struct nt_fault *fault)
{
	struct nt_flow_key packets = key_of(flow, flow->port);
	struct nt_flow_key fragments = key_of(flow, 0);
	int error = enter(tables, &packets, flow->id, false);

	if (error == -EEXIST)
		return nt_fault_set(fault, error,
				    "%s: flow %u (channel %s, line %s) is in the plan twice: same vlan, group, port and source",
				    flow->interface, flow->id, flow->channel, flow->line);
	if (!error)
		error = enter(tables, &fragments, flow->id, false);
	if (error == -EEXIST)
		error = enter(tables, &fragments, NT_FLOW_OTHER, true);
	return error ? nt_fault_set(fault, error, "%s: flow %u cannot be entered into the table of flows: %s", flow->interface,
				    flow->id, strerror(-error))
		     : 0;
}

int nt_flow_keys_enter(const struct nt_flow *flows, uint32_t flow_count, const char *interface, nt_key_enter *enter, void *tables,
		       struct nt_fault *fault)
{
	int error = 0;

	for (uint32_t i = 0; !error && i < flow_count; i++)
		if (is_on(&flows[i], interface))
			error = enter_flow(&flows[i], enter, tables, fault);
	return error;
}
