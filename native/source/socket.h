/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NT_SOURCE_SOCKET_H
#define NT_SOURCE_SOCKET_H

#include "../fault.h"
#include "../plan/plan.h"
#include "source.h"

/* One plain UDP socket a flow, joined and bound to its group on its interface; no privilege. `ids[i]` is the ring's flow id of
 * flows[i]. No frame is seen: headers are rebuilt (frame.h) and flagged; source address and port, TTL and the kernel's receive
 * stamp are real, VLAN tags and checksums are gone. IP fragments were put together again. The flow sequences count what was
 * received: what the kernel dropped is in `socket_drops` only. */
int nt_socket_open(struct nt_source **source, const struct nt_plan_source *plan, const struct nt_flow *flows, const uint32_t *ids,
		   uint32_t flow_count, struct nt_fault *fault);

#endif
