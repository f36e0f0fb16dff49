/* SPDX-License-Identifier: Apache-2.0 */
/* A classic BPF program for a packet socket, generated from the selection: it keeps out of the ring what is certainly not selected,
 * and may let through what the selector (selector.h) then leaves out; never the reverse. */
#ifndef NT_FILTER_H
#define NT_FILTER_H

#include "../plan/plan.h"

#include <linux/filter.h>

#define NT_FILTER_INSTRUCTIONS_MAX 4096u /* BPF_MAXINSNS */
#define NT_FILTER_INSTRUCTIONS_MIN 160u  /* the coarsest program fits into so many */

/* Writes the program for the flows of `flows` that are on `interface` and for `select`, at most `room` instructions
 * (NT_FILTER_INSTRUCTIONS_MIN to _MAX). The kernel has taken the outermost tag out of the frame before the filter sees it. Too many
 * groups for the room make it coarser. Returns the number of instructions; 0: every frame may be selected, no filter is wanted. */
uint32_t nt_filter_make(struct sock_filter *code, uint32_t room, uint32_t select, const struct nt_flow *flows, uint32_t flow_count,
			const char *interface);

#endif
