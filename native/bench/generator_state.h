/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that the generator's program in the kernel and its owner share. */
#ifndef NT_BENCH_GENERATOR_STATE_H
#define NT_BENCH_GENERATOR_STATE_H

#include <stdint.h>

#define NT_GENERATOR_HEADER_BYTES 42  /* Ethernet, IPv4, UDP */
#define NT_GENERATOR_STRIDE 24        /* of each so many bytes of payload eight differ from packet to packet */
#define NT_GENERATOR_WORDS 8          /* up to here: a third of a frame of 242 bytes */
#define NT_GENERATOR_TURNS (1u << 20) /* looks at the clock before a packet goes in any case: some 20 ms */
#define NT_GENERATOR_SLIP_NS 5000000ull

struct nt_generator_state {
	/* Written by the program. */
	uint64_t sent;        /* number of the newest packet */
	uint64_t due_ns;      /* CLOCK_MONOTONIC, of the next packet; 0: the first of a send is due at once */
	uint64_t waited_ns;   /* spun until packets were due */
	uint64_t late_max_ns; /* behind the schedule, at a packet */
	uint64_t slipped_ns;  /* by how much the schedule was put off */
	uint64_t began_ns;    /* of the first packet */
	uint64_t ended_ns;    /* of packet `goal` */
	/* Written by the owner, while the program does not run. */
	uint64_t goal;    /* number of the last packet of this send */
	uint64_t gap_ns;  /* between packets; 0: as fast as it goes */
	uint32_t ifindex; /* where to */
	uint32_t varies;  /* 1: bytes of the payload differ, besides the number */
};

#endif
