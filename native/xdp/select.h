/* SPDX-License-Identifier: Apache-2.0 */
/* What the XDP program, the holder and the afxdp source share. Included from C and from BPF C: fixed-width kernel types only. */
#ifndef NT_XDP_SELECT_H
#define NT_XDP_SELECT_H

#include <linux/types.h>

#define NT_XDP_PROGRAM_NAME "nt_select" /* by this name a holder recognises its own after a crash */
#define NT_XDP_QUEUES_MAX 256
#define NT_XDP_FLOWS_MAX 8192
#define NT_XDP_META_MAGIC 0x544E /* "NT" */
#define NT_XDP_META_UNPARSED 1   /* selected by the interface alone: the headers cannot be read */

enum nt_xdp_stamp { NT_XDP_STAMP_TAI = 1, NT_XDP_STAMP_MONOTONIC = 2, NT_XDP_STAMP_NIC = 3 };

/* Stands right before the frame. The loop clears `magic` after use, so that a frame whose driver left no room for metadata is
 * never taken for one that carries the previous frame's. */
struct nt_xdp_meta {
	__u16 magic;
	__u8 stamp_kind; /* enum nt_xdp_stamp */
	__u8 flags;      /* NT_XDP_META_* */
	__u32 flow_id;
	__u64 stamp_ns;
	__u64 flow_seq;
};

/* Hash map keys. Port 0: later fragments of the group, which carry no port. Source 0: any. */
struct nt_xdp_key4 {
	__be32 group;
	__be32 source;
	__be16 port;
	__u16 vlan; /* host order, NT_VLAN_NONE or NT_VLAN_ANY */
};

struct nt_xdp_key6 {
	__u8 group[16];
	__u8 source[16];
	__be16 port;
	__u16 vlan;
};

/* Entry of the sequence map, by flow id: a line each, so that queues on different cores do not share one. */
struct nt_xdp_sequence {
	__u64 last;
	__u64 reserved[7];
};

/* enum nt_select of ../plan/plan.h, which BPF C cannot include. */
enum nt_xdp_select {
	NT_XDP_SELECT_CHANNELS = 0,
	NT_XDP_SELECT_MULTICAST = 1,
	NT_XDP_SELECT_UDP = 2,
	NT_XDP_SELECT_ALL = 3, /* user space only */
};

/* Read-only data of the program, set before it is loaded, so that the verifier removes what this interface does not need. */
struct nt_xdp_options {
	__u32 stamp_kind; /* NT_XDP_STAMP_TAI or NT_XDP_STAMP_MONOTONIC */
	__u32 select;     /* enum nt_xdp_select */
	__u32 has_v4;
	__u32 has_v6;
	__u32 has_tagged;          /* some flow's frames may bear a tag */
	__u32 has_exact_vlan;      /* some flow names its VLAN, or that it has none */
	__u32 has_any_vlan;        /* some flow does not care */
	__u32 has_source_specific; /* some flow names its source */
	__u32 has_any_source;      /* some flow does not */
};

/* One per RX queue, in an mmapable array map. */
struct nt_xdp_counters {
	__u64 seen;
	__u64 passed_unmatched;
	__u64 passed_no_socket;
	__u64 redirected;
	__u64 unstamped;
	__u64 reserved[11];
};

_Static_assert(sizeof(struct nt_xdp_meta) == 24, "metadata is a multiple of 4 and at most 32 bytes");
_Static_assert(sizeof(struct nt_xdp_key4) == 12, "IPv4 key has no padding");
_Static_assert(sizeof(struct nt_xdp_key6) == 36, "IPv6 key has no padding");
_Static_assert(sizeof(struct nt_xdp_sequence) == 64, "a line each");
_Static_assert(sizeof(struct nt_xdp_counters) == 128, "a pair of lines each");

#endif
