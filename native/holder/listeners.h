/* SPDX-License-Identifier: Apache-2.0 */
/* Who else on this host listens to what an AF_XDP source takes: UDP sockets that would get the packets of a selected flow on its
 * interface, and get them no more (no blinding). Found by sock_diag and /proc/net/igmp of this network namespace; named by /proc. */
#ifndef NT_LISTENERS_H
#define NT_LISTENERS_H

#include "../plan/plan.h"

#include <stdio.h>

struct nt_listener {
	char interface[16];
	char process[32]; /* its comm; empty: not to be learned */
	uint32_t pid;     /* 0: not to be learned */
	uint32_t uid;
	uint16_t family; /* NT_FAMILY_*: of the socket's address */
	uint16_t port;
	uint32_t flow_id;    /* a flow that it shares; NT_FLOW_OTHER: what `select` adds */
	uint8_t address[16]; /* that it is bound to; all zero: any */
};

/* All of them, over every afxdp source of the plan, `steal` or not; `found` is the caller's to free. */
int nt_listeners_find(const struct nt_plan *plan, struct nt_listener **found, uint32_t *count, struct nt_fault *fault);

/* For one afxdp source that may not steal: a fault that names the processes, or 0. `before`: by which a holder that runs has joined,
 * where the plan is of flows that are added; NULL: none runs. */
int nt_listeners_refuse(const struct nt_plan *plan, const struct nt_plan_source *source, const struct nt_plan *before,
			struct nt_fault *fault);

/* One line each, tab-separated: interface, pid, process, uid, address, port, flow id. */
void nt_listeners_print(const struct nt_listener *found, uint32_t count, FILE *out);

#endif
