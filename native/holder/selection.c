/* SPDX-License-Identifier: Apache-2.0 */
/* From the plan's flows to the keys of the XDP program's hash maps. */
#include "holder.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_any(const uint8_t address[16])
{
	static const uint8_t any[16];

	return memcmp(address, any, sizeof(any)) == 0;
}

static bool is_on(const struct nt_flow *flow, const char *interface)
{
	return strncmp(flow->interface, interface, sizeof(flow->interface)) == 0;
}

/* Id 0 marks priority only (802.1Q): such a packet is in no VLAN, and the program treats it so. */
static uint16_t vlan_of(const struct nt_flow *flow)
{
	return flow->vlan ? flow->vlan : NT_VLAN_NONE;
}

void nt_selection_describe(struct nt_selection *selection, const struct nt_plan *plan, const char *interface)
{
	memset(selection, 0, sizeof(*selection));
	for (uint32_t i = 0; i < plan->header->flow_count; i++) {
		const struct nt_flow *flow = &plan->flows[i];

		if (!is_on(flow, interface))
			continue;
		selection->flows4 += flow->family == NT_FAMILY_IPV4;
		selection->flows6 += flow->family == NT_FAMILY_IPV6;
		selection->options.has_vlan |= vlan_of(flow) != NT_VLAN_NONE;
		selection->options.has_any_source |= is_any(flow->source);
		selection->options.has_source_specific |= !is_any(flow->source);
		if (flow->id > selection->flow_id_max)
			selection->flow_id_max = flow->id;
	}
	selection->options.has_v4 = selection->flows4 > 0;
	selection->options.has_v6 = selection->flows6 > 0;
}

static int compare_groups(const struct nt_flow *left, const struct nt_flow *right)
{
	int order = (int)left->family - (int)right->family;

	if (!order)
		order = (int)vlan_of(left) - (int)vlan_of(right);
	return order ? order : memcmp(left->group, right->group, sizeof(left->group));
}

static int compare_sources(const struct nt_flow *left, const struct nt_flow *right)
{
	return memcmp(left->source, right->source, sizeof(left->source));
}

/* Flows of one group stand together, those of any source (all zero) first. */
static int compare_entries(const void *left, const void *right)
{
	const struct nt_flow *const *a = left, *const *b = right;
	int order = compare_groups(*a, *b);

	if (!order)
		order = compare_sources(*a, *b);
	return order ? order : (*a > *b) - (*a < *b);
}

/* Whose a non-first fragment is that comes under the key of flow `at` of its group: this flow's, unless another of the group may be
 * meant. A fragment of a named source may belong to a flow of any source too; the key of any source is asked only for the other
 * sources. */
static uint32_t fragment_owner(const struct nt_flow *const *group, uint32_t count, uint32_t at)
{
	bool shared = (at > 0 && (is_any(group[0]->source) || compare_sources(group[at - 1], group[at]) == 0)) ||
		      (at + 1 < count && compare_sources(group[at], group[at + 1]) == 0);

	return shared ? NT_FLOW_OTHER : group[at]->id;
}

static int enter(int flows4_fd, int flows6_fd, const struct nt_flow *flow, uint16_t port, uint32_t id, uint64_t flags)
{
	struct nt_xdp_key4 key4 = {.port = htons(port), .vlan = vlan_of(flow)};
	struct nt_xdp_key6 key6 = {.port = htons(port), .vlan = vlan_of(flow)};

	memcpy(&key4.group, flow->group, sizeof(key4.group));
	memcpy(&key4.source, flow->source, sizeof(key4.source));
	memcpy(key6.group, flow->group, sizeof(key6.group));
	memcpy(key6.source, flow->source, sizeof(key6.source));
	if (flow->family == NT_FAMILY_IPV4)
		return bpf_map_update_elem(flows4_fd, &key4, &id, flags);
	return bpf_map_update_elem(flows6_fd, &key6, &id, flags);
}

static int enter_group(int flows4_fd, int flows6_fd, const struct nt_flow *const *group, uint32_t count, struct nt_fault *fault)
{
	for (uint32_t at = 0; at < count; at++) {
		const struct nt_flow *flow = group[at];
		int error = enter(flows4_fd, flows6_fd, flow, flow->port, flow->id, BPF_NOEXIST);

		if (error == -EEXIST)
			return nt_fault_set(
				fault, error,
				"%s: flow %u (channel %s, line %s) is in the plan twice: same vlan, group, port and source",
				flow->interface, flow->id, flow->channel, flow->line);
		if (!error)
			error = enter(flows4_fd, flows6_fd, flow, 0, fragment_owner(group, count, at), BPF_ANY);
		if (error)
			return nt_fault_set(fault, error, "%s: flow %u cannot be entered into the XDP program's map: %s",
					    flow->interface, flow->id, strerror(-error));
	}
	return 0;
}

int nt_selection_fill(int flows4_fd, int flows6_fd, const struct nt_plan *plan, const char *interface, struct nt_fault *fault)
{
	const struct nt_flow **flows = calloc(plan->header->flow_count + 1, sizeof(*flows));
	uint32_t count = 0;
	int error = 0;

	if (!flows)
		return nt_fault_set(fault, -ENOMEM, "%s: no memory for %u flows", interface, plan->header->flow_count);
	for (uint32_t i = 0; i < plan->header->flow_count; i++)
		if (is_on(&plan->flows[i], interface))
			flows[count++] = &plan->flows[i];
	qsort(flows, count, sizeof(*flows), compare_entries);
	for (uint32_t at = 0, end; !error && at < count; at = end) {
		for (end = at + 1; end < count && compare_groups(flows[at], flows[end]) == 0;)
			end++;
		error = enter_group(flows4_fd, flows6_fd, flows + at, end - at, fault);
	}
	free(flows);
	return error;
}
