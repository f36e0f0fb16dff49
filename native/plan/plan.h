/* SPDX-License-Identifier: Apache-2.0 */
/* What the control plane tells the holder and the capture process: a header, then sources, then flows, in one file, in this layout.
 * Python checks the configuration and writes it; the C side checks sizes, ranges and terminating NULs, and parses nothing. */
#ifndef NT_PLAN_H
#define NT_PLAN_H

#include "../fault.h"
#include "../ring/flow.h"
#include "../ring/ring.h"

#define NT_PLAN_MAGIC 0x314E414C50544Eull
#define NT_PLAN_VERSION 3u
#define NT_PLAN_SOURCES_MAX 16u

enum nt_tristate { NT_OFF = 0, NT_PREFER = 1, NT_REQUIRE = 2 };
enum nt_idle { NT_IDLE_SPIN = 0, NT_IDLE_SLEEP = 1 };
enum nt_seccomp {
	NT_SECCOMP_OFF = 0,
	NT_SECCOMP_COUNT = 1, /* a system call of the loop's thread is counted, told, and let through */
	NT_SECCOMP_KILL = 2,  /* it ends the process */
};
enum nt_join { NT_JOIN_NONE = 0, NT_JOIN_IGMP = 1 };
/* What is selected besides the flows; it then belongs to NT_FLOW_OTHER. See select.h for what is never taken. */
enum nt_select {
	NT_SELECT_CHANNELS = 0,  /* nothing */
	NT_SELECT_MULTICAST = 1, /* UDP to a multicast address, and what cannot be parsed of frames to a group */
	NT_SELECT_UDP = 2,       /* all UDP, and what cannot be parsed */
	NT_SELECT_ALL = 3,       /* every frame (packet and pcap only) */
};

#define NT_PLAN_AS_RECORDED 1000000u /* pace_ppm: as fast as it was captured */

struct nt_plan_source {
	uint32_t kind; /* enum nt_source_kind */
	char interface[16];
	uint32_t join;                 /* enum nt_join */
	uint32_t native_xdp;           /* NT_REQUIRE, or NT_PREFER: generic (SKB) mode allowed */
	uint32_t zero_copy;            /* enum nt_tristate */
	uint32_t descriptors;          /* of each RX ring, a power of two, and UMEM frames; packet: in frame_bytes of ring */
	uint32_t frame_bytes;          /* UMEM chunk: 2048 or 4096 */
	uint32_t umem_hugepages;       /* enum nt_hugepages */
	uint32_t receive_buffer_bytes; /* socket: SO_RCVBUF */
	uint32_t synthetic_frame_bytes;
	uint32_t reserved0;
	uint64_t synthetic_count;    /* 0: endless */
	uint64_t synthetic_rate_pps; /* 0: as fast as it goes */
	uint32_t select;             /* enum nt_select */
	uint32_t promiscuous;        /* 1: the NIC takes frames that are not for it */
	uint32_t steal;              /* afxdp: 1: listeners on this host may go blind */
	uint32_t fanout;             /* packet: sockets that share the load, each a source of its own */
	uint64_t pace_ppm;           /* pcap: millionths of the speed at which it was captured; 0: as fast as it goes */
	char file[256];              /* pcap: its name, for messages; its bytes come on standard input */
	char follow[256];            /* pcap: status file of the reader that must not be lapped; empty: nobody waits */
	uint32_t nic_domain;         /* enum nt_clock_domain of the NIC's clock, never NT_CLOCK_MONOTONIC */
	int32_t nic_tai_offset_s;    /* of a NIC in NT_CLOCK_TAI: TAI minus UTC; -1: as the kernel has it at that moment */
	uint8_t reserved[152];
};

struct nt_plan_header {
	uint64_t magic;
	uint32_t version;
	uint32_t source_count;
	uint32_t flow_count;
	int32_t core;         /* the loop's core; -1: not pinned */
	uint32_t realtime;    /* SCHED_FIFO priority; 0: none */
	uint32_t idle;        /* enum nt_idle */
	uint32_t seccomp;     /* enum nt_seccomp; without effect unless the loop spins */
	uint32_t capture_uid; /* who may borrow from the holder, besides root */
	uint32_t ring_gid;
	uint32_t batch;          /* packets that one poll takes at most, 1 to NT_BATCH_PACKETS */
	char holder_socket[104]; /* Unix socket path, as long as sun_path allows; empty: no holder */
	struct nt_ring_options ring;
	uint32_t prefetch; /* packets ahead of the one that is copied whose frames are fetched into the cache; 0: none */
	uint32_t reserved0;
	uint64_t stamp_bound_ns; /* how far a stamp may lie outside the time in which its packet can have come; 0: a second */
	uint8_t reserved1[48];
};

_Static_assert(sizeof(struct nt_plan_source) == 768, "plan source");
_Static_assert(offsetof(struct nt_plan_source, synthetic_count) == 56, "synthetic_count");
_Static_assert(offsetof(struct nt_plan_source, select) == 72, "select");
_Static_assert(offsetof(struct nt_plan_source, file) == 96, "file");
_Static_assert(offsetof(struct nt_plan_source, follow) == 352, "follow");
_Static_assert(offsetof(struct nt_plan_source, nic_domain) == 608, "nic_domain");
_Static_assert(offsetof(struct nt_plan_source, nic_tai_offset_s) == 612, "nic_tai_offset_s");
_Static_assert(offsetof(struct nt_plan_header, holder_socket) == 48, "holder_socket");
_Static_assert(offsetof(struct nt_plan_header, ring) == 152, "ring");
_Static_assert(offsetof(struct nt_plan_header, stamp_bound_ns) == 760, "stamp_bound_ns");

struct nt_plan {
	const struct nt_plan_header *header;
	const struct nt_plan_source *sources;
	const struct nt_flow *flows;
	void *mapping;
	size_t bytes;
};

/* Reads and checks a plan file. Every text is NUL-terminated and every enum in range afterwards; the flows of a source are those
 * with its interface. */
int nt_plan_load(struct nt_plan *plan, const char *path, struct nt_fault *fault);
void nt_plan_unload(struct nt_plan *plan);

#endif
