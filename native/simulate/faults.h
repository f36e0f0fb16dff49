/* SPDX-License-Identifier: Apache-2.0 */
/* What a line does wrong on purpose, and what it came to, in feed sequences: so that what a receiver found can be compared with
 * what was done. Each list is ascending, its spans apart from each other. */
#ifndef NT_SIMULATE_FAULTS_H
#define NT_SIMULATE_FAULTS_H

#include "mold.h"

#include <stdbool.h>

/* The first two are the caller's, the rest is filled in as the stream passes.
 *
 *   gap        first..first+packets-1 are made and not sent
 *   duplicate  first..first+packets-1 are sent twice, each right after itself
 *   reorder    first is sent after the `packets` that follow it, or at the end of the stream; done = how many went before it */
struct nt_sender_fault {
	uint64_t first_packet;
	uint64_t packets;
	uint64_t done;           /* datagrams withheld, sent twice, or let pass */
	uint64_t first_sequence; /* of the first message concerned; 0: not reached */
	uint64_t messages;
	uint64_t restarts; /* of the stream before first_sequence: they tell its session */
};

struct nt_sender_restart {
	uint64_t packet;
	uint64_t expected; /* sequence that would have come next; 0: not reached */
};

struct nt_sender_fault_list {
	struct nt_sender_fault *faults; /* the caller's, kept until the sender is closed */
	uint64_t count;
	uint64_t at; /* the first not yet passed; 0 at the start */
};

/* -EINVAL, in the words of `line` and `what` ("gap", ...), where a list cannot be meant; each span is `packets` + `more` long. */
int nt_faults_check(const struct nt_sender_fault_list *list, uint64_t more, const char *line, const char *what,
		    struct nt_fault *fault);
/* The fault that a datagram falls into; NULL: none. Datagrams are asked for in order. */
struct nt_sender_fault *nt_faults_at(struct nt_sender_fault_list *list, uint64_t number, uint64_t more);
/* Counts a datagram as concerned. */
void nt_fault_concerns(struct nt_sender_fault *fault, const struct nt_exchange_packet *packet);

#endif
