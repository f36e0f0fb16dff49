/* SPDX-License-Identifier: Apache-2.0 */
/* From flows to the keys of the tables that judge.h looks into: the XDP program's maps, or a table in user space. */
#ifndef NT_FLOW_KEYS_H
#define NT_FLOW_KEYS_H

#include "../fault.h"
#include "../ring/flow.h"
#include "select.h"

#include <stdbool.h>

struct nt_selection { /* what the flows of one interface need */
	struct nt_xdp_options options;
	uint32_t flows4; /* how many of each family */
	uint32_t flows6;
	uint32_t flow_id_max;
};

#define NT_KEYS_PER_FLOW 2u /* at most, in the table of its family: its port's, and its fragments' */

struct nt_flow_key {
	uint16_t family; /* NT_FAMILY_*: which one of them */
	union {
		struct nt_xdp_key4 v4;
		struct nt_xdp_key6 v6;
	};
};

/* Enters `flow_id` under a key; one that is there already is replaced, or -EEXIST. */
typedef int nt_key_enter(void *tables, const struct nt_flow_key *key, uint32_t flow_id, bool replace);

/* `select`: enum nt_xdp_select. The stamp is left to the caller. */
void nt_flow_keys_describe(struct nt_selection *selection, uint32_t select, const struct nt_flow *flows, uint32_t flow_count,
			   const char *interface);

/* Enters the keys of all flows on `interface`. Where several flows agree but for their ports, their fragments are of
 * NT_FLOW_OTHER. */
int nt_flow_keys_enter(const struct nt_flow *flows, uint32_t flow_count, const char *interface, nt_key_enter *enter, void *tables,
		       struct nt_fault *fault);

#endif
