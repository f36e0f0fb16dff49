/* SPDX-License-Identifier: Apache-2.0 */
/* Packets made inside the kernel: an XDP program is run on live frames (BPF_PROG_TEST_RUN, Linux 5.18) that are redirected onto an
 * interface, numbered as they go. One core makes more of them than any socket could send.
 *
 * A frame: Ethernet to the group's MAC, IPv4, UDP without checksum (0, which IPv4 allows), then as payload the number of the packet
 * (8 bytes, big-endian, from 1), and bytes that are the same in all packets; with `varies`
 * up to a third of them differ from packet to packet, so that compressing them is work. */
#ifndef NT_BENCH_GENERATOR_H
#define NT_BENCH_GENERATOR_H

#include "../fault.h"

#include <stdint.h>

struct nt_generator_options {
	char interface[16];   /* of the network namespace of the calling thread, then and at every send */
	uint32_t frame_bytes; /* 60 to 1514 */
	uint8_t group[4];     /* destination */
	uint8_t source[4];
	uint16_t port;   /* destination, host order */
	uint16_t varies; /* 1: more of the payload differs than the number */
};

struct nt_generator;

/* What sending took, in nanoseconds since the generator was opened. */
struct nt_generator_times {
	uint64_t took_ns;     /* first packet to last packet */
	uint64_t waited_ns;   /* spun in the kernel until packets were due */
	uint64_t late_max_ns; /* behind the schedule, at a packet */
	uint64_t slipped_ns;  /* by how much the schedule was put off: who is 5 ms late does not catch up */
};

int nt_generator_open(struct nt_generator **generator, const struct nt_generator_options *options, struct nt_fault *fault);
/* From the next send on: the program lets packets go `gap_ns` after each other, spinning until each is due (20 ms at the most); they
 * reach the interface in batches of `batch`, 1 to 64. gap_ns 0, as at first: as fast as they go. */
void nt_generator_pace(struct nt_generator *generator, uint64_t gap_ns, uint32_t batch);
/* Sends `count` packets, in the calling thread, on its core: when it returns they are through the interface, and where the
 * other end is a veth of this host its XDP program has run, too (unless NAPI was already running elsewhere). 0 or a negative errno.
 * At its end the kernel waits for a grace period of RCU, 20 ms and more: one send for all packets, and pace them. */
int nt_generator_send(struct nt_generator *generator, uint32_t count, struct nt_fault *fault);
/* What the XDP program made and redirected so far: number of the newest packet. May be asked by another thread. */
uint64_t nt_generator_sent(const struct nt_generator *generator);
void nt_generator_times(const struct nt_generator *generator, struct nt_generator_times *times);
void nt_generator_close(struct nt_generator *generator);

#endif
