/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a capture file, through libpcap: pcap and pcapng, micro- and nanoseconds; Ethernet, Linux cooked 1 and 2, raw IP. The
 * bytes come from a descriptor, which may be a pipe. */
#ifndef NT_SOURCE_PCAP_H
#define NT_SOURCE_PCAP_H

#include "../ring/ring.h"
#include "selector.h"
#include "source.h"

/* Reads the file's header and its first packet from `fd`, which becomes the source's and is closed even where the file is refused.
 * `plan->file` names it in messages; another link type, a mixture of them, or what is no capture file at all is refused with a fault
 * that says so. Damage further on ends the source: what was before it is handed out, `damaged` is set and `note` names the packet and
 * the byte offset. The selector must live as long as the source. */
int nt_pcap_open(struct nt_source **source, const struct nt_plan_source *plan, int fd, const struct nt_selector *selector,
		 struct nt_fault *fault);

/* Leaves out the first packets of the file, since a predecessor took them: before the first poll. */
void nt_pcap_skip(struct nt_source *source, uint64_t packets);

/* From now on the source holds back while the reader whose status file is at `path` has more than half of the ring before it, or has
 * not come yet: a file can wait, and nothing of it need be lost. Before the loop starts. */
int nt_pcap_follow(struct nt_source *source, const struct nt_ring *ring, const char *path, struct nt_fault *fault);

#endif
