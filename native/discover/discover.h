/* SPDX-License-Identifier: Apache-2.0 */
/* Listens to what arrives on an interface with a packet socket of this process, which gets copies and takes nothing from anybody,
 * and tells the flows apart. Needs CAP_NET_RAW; joins nothing; leaves nothing behind when the process dies. */
#ifndef NT_DISCOVER_H
#define NT_DISCOVER_H

#include "../fault.h"
#include "sightings.h"

struct nt_discover_options {
	uint32_t select;      /* NT_SELECT_MULTICAST or NT_SELECT_UDP */
	uint32_t promiscuous; /* 1: the NIC takes frames that are not for it */
	struct nt_sightings_filter filter;
};

struct nt_discover;

int nt_discover_open(struct nt_discover **discover, const char *interface, const struct nt_discover_options *options,
		     struct nt_fault *fault);
/* Listens so long, at least until all that waits is taken or the time is over. Returns 0 or a negative errno. */
int nt_discover_run(struct nt_discover *discover, uint32_t milliseconds);
void nt_discover_close(struct nt_discover *discover);

/* What was seen so far; changes with each run. */
const struct nt_sightings *nt_discover_sightings(const struct nt_discover *discover);
/* Packets that the kernel dropped because this process was too slow; NT_COUNT_UNKNOWN where it cannot say. */
uint64_t nt_discover_dropped(const struct nt_discover *discover);
/* Packets that came through the kernel's filter and were then not selected: no UDP, or PTP. */
uint64_t nt_discover_unselected(const struct nt_discover *discover);

#endif
