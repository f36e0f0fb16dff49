/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of every source: it hands batches of packets to the loop and takes them back. A source never allocates, logs or
 * (but for `socket`) calls the kernel in poll or release. */
#ifndef NT_SOURCE_H
#define NT_SOURCE_H

#include "../loop/counters.h"
#include "../ring/layout.h"

#include <stdint.h>
#include <string.h>

#define NT_BATCH_PACKETS 256u /* the most that `limit` may be */
#define NT_PREFETCH_MAX 64u
#define NT_STAMPED_BY(ts_kind) ((ts_kind) + 1u) /* as stamp_kind has it */
#define NT_TAI_OFFSET_KERNEL INT64_MIN          /* that of the kernel, at the moment of the poll */

struct nt_packet {
	const uint8_t *data; /* Ethernet frame; valid until release */
	uint32_t capture_length;
	uint32_t wire_length;
	int64_t stamp_ns;  /* in `stamp_clock`; ignored when that is NT_CLOCK_UNKNOWN. The loop makes UTC of both */
	uint64_t flow_seq; /* 0: none; see numbers_flows */
	uint32_t flow_id;
	uint16_t flags;      /* enum nt_record_flag */
	uint8_t ts_kind;     /* enum nt_ts_kind */
	uint8_t stamp_clock; /* enum nt_clock_domain; NT_CLOCK_UNKNOWN: no stamp. Of a NIC: nt_source_nic_clock */
};

struct nt_batch {       /* both counts are 0 before each poll */
	uint32_t limit; /* 1 to NT_BATCH_PACKETS */
	uint32_t count;
	uint32_t unselected; /* judged in this poll and left out: not in `packets` */
	struct nt_packet packets[NT_BATCH_PACKETS];
};

struct nt_source;

struct nt_source_ops {
	/* Fills at most `limit` and returns how many; 0 when nothing waits, -ENODATA when a finite source has come to its
	 * end, another negative errno when the source is broken for good. */
	int (*poll)(struct nt_source *source, struct nt_batch *batch);
	/* Gives the whole batch of the last poll back. Called after its records are published and counted; also for a poll that
	 * brought no packet but left some out. */
	void (*release)(struct nt_source *source, const struct nt_batch *batch);
	/* Helper thread. Raw counters, before `base` is taken off; all are NT_COUNT_UNKNOWN on entry, and those that this kind does
	 * not have stay so. */
	void (*read_stats)(struct nt_source *source, struct nt_source_stats *stats);
	/* Helper thread, every few milliseconds: makes the system calls that the loop may not. May be NULL. */
	void (*wake)(struct nt_source *source);
	/* Blocks at most `timeout_ms` for a packet; used only when the loop may sleep. May be NULL. */
	void (*wait)(struct nt_source *source, int timeout_ms);
	/* Names what the next poll begins with, the same in a successor of this process; release moves it on. A poll at the same
	 * position, with a `limit` that is not smaller, hands out, or leaves out, at least the packets that the last one did, in
	 * their order. NULL: a successor cannot be handed the same packets again. */
	uint64_t (*position)(const struct nt_source *source);
	void (*close)(struct nt_source *source);
};

struct nt_source { /* first member of every source's own struct */
	const struct nt_source_ops *ops;
	char name[64]; /* "afxdp:eth1:0"; names its slot in the ring's source table, across restarts */
	char interface[16];
	uint32_t kind; /* enum nt_source_kind */
	uint32_t queue;
	uint32_t zero_copy;
	uint32_t skb_mode;
	uint64_t holder_id;        /* 0: no holder; the raw counters begin anew with each process */
	uint32_t numbers_flows;    /* 1: brings no flow sequences of its own, the loop numbers its packets */
	uint32_t stamp_kind;       /* NT_STAMPED_BY, of the stamps to come; 0: not known before the first */
	uint32_t stamp_domain;     /* enum nt_clock_domain of these; of a NIC nic_domain */
	uint32_t nic_domain;       /* enum nt_clock_domain: what was measured of the NIC's clock */
	int64_t nic_tai_offset_ns; /* of a NIC in NT_CLOCK_TAI: TAI minus UTC; or NT_TAI_OFFSET_KERNEL */
	uint32_t damaged;          /* 1: a finite source that ended at damage, which `note` names; read once the loop has ended */
	char note[512];            /* what the operator should know, one line; empty: nothing */
};

/* `stamp_clock` of a packet that a NIC stamped whose clock is in `domain`: what nobody knows is as good as free. */
static inline uint8_t nt_source_nic_clock(uint32_t domain)
{
	return domain == NT_CLOCK_UTC || domain == NT_CLOCK_TAI ? (uint8_t)domain : NT_CLOCK_FREE;
}

/* What the plan says of the clock of its NIC; `tai_offset_s` -1: the kernel's. */
static inline void nt_source_set_nic(struct nt_source *source, uint32_t domain, int32_t tai_offset_s)
{
	source->nic_domain = domain;
	source->nic_tai_offset_ns = tai_offset_s < 0 ? NT_TAI_OFFSET_KERNEL : (int64_t)tai_offset_s * 1000000000;
}

static inline void nt_source_close(struct nt_source *source)
{
	source->ops->close(source);
}

/* Before a read_stats: what the source does not fill in is not known. */
static inline void nt_source_stats_unknown(struct nt_source_stats *stats)
{
	memset(stats, 0xFF, sizeof(*stats));
}

#endif
