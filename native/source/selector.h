/* SPDX-License-Identifier: Apache-2.0 */
/* Decides in user space what the XDP program decides in the kernel: which flow a frame belongs to, and whether it is selected at
 * all. Both compile the same classifier (../xdp/classify.h), so that a packet is judged alike wherever it comes in. */
#ifndef NT_SELECTOR_H
#define NT_SELECTOR_H

#include "../plan/plan.h"
#include "link.h"

#include <stdbool.h>

struct nt_selector;

struct nt_judgement {
	uint32_t flow_id; /* NT_FLOW_OTHER: selected, but of no configured flow */
	bool selected;
	bool unparsed; /* selected by the interface alone: its headers cannot be read */
};

/* For the flows of `flows` that are on `interface`, and what `select` (enum nt_select) adds. */
int nt_selector_create(struct nt_selector **selector, uint32_t select, const struct nt_flow *flows, uint32_t flow_count,
		       const char *interface, struct nt_fault *fault);
void nt_selector_destroy(struct nt_selector *selector);

/* Reads `capture_length` bytes at most. No allocation, no system call. */
struct nt_judgement nt_selector_judge(const struct nt_selector *selector, enum nt_link link, const uint8_t *frame,
				      uint32_t capture_length);

#endif
