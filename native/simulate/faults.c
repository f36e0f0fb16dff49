/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <errno.h>
#include <stddef.h>

int nt_faults_check(const struct nt_sender_fault_list *list, uint64_t more, const char *line, const char *what,
		    struct nt_fault *fault)
{
	uint64_t passed = 0;

	for (uint64_t index = 0; index < list->count; index++) {
		const struct nt_sender_fault *one = &list->faults[index];

		if (one->first_packet <= passed || one->packets == 0 || one->packets > INT64_MAX || one->first_packet > INT64_MAX)
			return nt_fault_set(
				fault, -EINVAL,
				"line %s: %s %llu:%llu: expected packets from 1 on, a count of at least 1, ascending and apart from each other",
				line, what, (unsigned long long)one->first_packet, (unsigned long long)one->packets);
		passed = one->first_packet + one->packets + more - 1;
	}
	return 0;
}

struct nt_sender_fault *nt_faults_at(struct nt_sender_fault_list *list, uint64_t number, uint64_t more)
{
	for (; list->at < list->count; list->at++) {
		struct nt_sender_fault *one = &list->faults[list->at];

		if (number < one->first_packet)
			return NULL;
		if (number - one->first_packet < one->packets + more)
			return one;
	}
	return NULL;
}

void nt_fault_concerns(struct nt_sender_fault *fault, const struct nt_exchange_packet *packet)
{
	if (fault->first_sequence == 0) {
		fault->first_sequence = packet->sequence;
		fault->restarts = packet->restarts;
	}
	fault->messages += packet->messages;
}
