/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a classic BPF program together: instructions, and searches of a 32-bit value among ranges. */
#ifndef NT_FILTER_ASSEMBLY_H
#define NT_FILTER_ASSEMBLY_H

#include "../ring/layout.h"

#include <linux/filter.h>
#include <stdint.h>

struct nt_assembly {
	struct sock_filter *code;
	uint32_t room;
	uint32_t count; /* instructions; what is beyond `room` was not written */
};

struct nt_range { /* both included */
	uint32_t first;
	uint32_t last;
};

struct nt_search {
	uint32_t count;
	struct nt_range ranges[NT_RING_FLOWS_MAX];
};

static inline void nt_assembly_emit(struct nt_assembly *to, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
	if (to->count < to->room)
		to->code[to->count] = (struct sock_filter){code, yes, no, k};
	to->count++;
}

/* An instruction that does not jump. */
static inline void nt_assembly_add(struct nt_assembly *to, uint16_t code, uint32_t k)
{
	nt_assembly_emit(to, code, 0, 0, k);
}

/* The ranges that hold these values (which it sorts), nothing else unless the search would cost more than `budget`. */
void nt_search_prepare(struct nt_search *search, uint32_t *values, uint32_t count, uint32_t budget);

/* In instructions. */
uint32_t nt_search_cost(const struct nt_search *search);

/* With A in one of the ranges the program goes on behind the search; else it drops the packet. */
void nt_search_emit(struct nt_assembly *to, const struct nt_search *search);

#endif
