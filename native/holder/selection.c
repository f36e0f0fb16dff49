/* SPDX-License-Identifier: Apache-2.0 */
/* From the plan's flows to the options and maps of the XDP program. */
#include "holder.h"

#include <bpf/bpf.h>
#include <string.h>

struct maps {
	int flows4_fd;
	int flows6_fd;
};

static uint32_t select_on(const struct nt_plan *plan, const char *interface)
{
	for (uint32_t i = 0; i < plan->header->source_count; i++)
		if (plan->sources[i].kind == NT_SOURCE_AFXDP && strcmp(plan->sources[i].interface, interface) == 0)
			return plan->sources[i].select;
	return NT_SELECT_CHANNELS;
}

void nt_selection_describe(struct nt_selection *selection, const struct nt_plan *plan, const char *interface)
{
	nt_flow_keys_describe(selection, select_on(plan, interface), plan->flows, plan->header->flow_count, interface);
}

static int enter(void *tables, const struct nt_flow_key *key, uint32_t flow_id, bool replace)
{
	const struct maps *maps = tables;
	uint64_t flags = replace ? BPF_ANY : BPF_NOEXIST;

	if (key->family == NT_FAMILY_IPV4)
		return bpf_map_update_elem(maps->flows4_fd, &key->v4, &flow_id, flags);
	return bpf_map_update_elem(maps->flows6_fd, &key->v6, &flow_id, flags);
}

int nt_selection_fill(int flows4_fd, int flows6_fd, const struct nt_plan *plan, const char *interface, struct nt_fault *fault)
{
	struct maps maps = {.flows4_fd = flows4_fd, .flows6_fd = flows6_fd};

	return nt_flow_keys_enter(plan->flows, plan->header->flow_count, interface, enter, &maps, fault);
}
