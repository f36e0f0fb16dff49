/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of one source, in the ring's descriptor file, where any reader may map them. Each line has one writer: the loop, or its
 * helper thread. All count up since the ring was made, across restarts of every process; see `base`. */
#ifndef NT_COUNTERS_H
#define NT_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#define NT_BATCH_BUCKETS 8u         /* bucket b: batches of 2^b to 2^(b+1) - 1 packets, the last open-ended */
#define NT_DELAY_BUCKETS 40u        /* bucket 0: below 1 ns (negative too); bucket b: 2^(b-1) to 2^b - 1 ns; the last open-ended */
#define NT_GAP_BUCKETS 40u          /* of the loop's rounds; bucket b: 2^(b-1) to 2^b - 1 ns; the last open-ended */
#define NT_COUNT_UNKNOWN UINT64_MAX /* cannot be read here: null, not 0 */

enum nt_source_kind {
	NT_SOURCE_SYNTHETIC = 1,
	NT_SOURCE_SOCKET = 2,
	NT_SOURCE_AFXDP = 3,
	NT_SOURCE_PACKET = 4,
	NT_SOURCE_PCAP = 5,
};

struct nt_loop_counters {   /* written by the capture loop only */
	uint64_t packets;   /* records put into the ring */
	uint64_t bytes;     /* frame bytes of these */
	uint64_t oversize;  /* frames larger than the ring's largest record: not in the ring */
	uint64_t repeated;  /* seen again after a hand-over and left out: not a loss */
	uint64_t unstamped; /* in the ring, with the poll time for a stamp */
	uint64_t backwards; /* stamps earlier than the one before in their flow */
	uint64_t batches;
	uint64_t polls_busy; /* polls that brought packets, selected or not */
	uint64_t polls_idle;
	uint64_t delay_max_ns;
	int64_t last_packet_ns; /* UTC stamp of the newest record; 0: none yet */
	uint64_t unselected;    /* judged by the source in the capture process, and left out: not selected */
	uint64_t other;         /* in the ring, of no configured flow */
	uint64_t unparsed;      /* of these, those whose headers could not be read when they were selected */
	uint64_t bad_stamps;    /* in the ring, with a stamp that cannot be right */
	uint64_t reserved[1];
	uint64_t batch_histogram[NT_BATCH_BUCKETS];
	uint64_t delay_histogram[NT_DELAY_BUCKETS];
};

struct nt_source_stats {               /* what lies before the loop; written by the helper thread only */
	uint64_t xdp_seen;             /* packets that the XDP program judged on this queue */
	uint64_t xdp_passed_unmatched; /* to the kernel: not selected */
	uint64_t xdp_passed_no_socket; /* to the kernel: selected, but no socket on this queue */
	uint64_t xdp_redirected;
	uint64_t xdp_unstamped; /* redirected without metadata: the driver has no room for it */
	uint64_t rx_dropped;    /* XDP_STATISTICS: no free frame, or it did not fit */
	uint64_t rx_ring_full;  /* XDP_STATISTICS: the loop was too slow */
	uint64_t rx_fill_empty; /* XDP_STATISTICS: advisory; in copy mode each also counts in rx_dropped */
	uint64_t rx_invalid;
	uint64_t rx_occupancy;     /* descriptors that wait in the RX ring now */
	uint64_t socket_drops;     /* SO_MEMINFO or PACKET_STATISTICS: the socket's buffer was full */
	uint64_t offered;          /* synthetic: made; packet: passed the kernel's filter, drops included; pcap: read */
	int64_t updated_ns;        /* UTC; 0: never */
	uint64_t lost_with_holder; /* redirected by a holder that died: in its RX ring, or on the way to it */
	uint64_t wakeups;          /* system calls made to wake the driver; counted by this process, not by the holder */
	uint64_t rx_taken;         /* descriptors released to the driver since the holder started: the 64-bit extension of the RX
	                                 * ring's consumer (nearest to xdp_redirected - rx_dropped - rx_ring_full - rx_occupancy) */
};

struct nt_source_counters {
	char name[64]; /* "afxdp:eth1:0": kind, interface, queue */
	char interface[16];
	uint32_t kind; /* enum nt_source_kind */
	uint32_t queue;
	uint32_t zero_copy; /* 1: the driver bound zero-copy */
	uint32_t skb_mode;  /* 1: generic XDP */
	/* Written by the helper thread: by what its packets are stamped. All nought, as in an older ring: not known. */
	uint32_t stamp_kind;     /* enum nt_ts_kind, and 1 */
	uint32_t stamp_domain;   /* enum nt_clock_domain that the stamps come in; of a NIC what was measured of its clock */
	int64_t stamp_offset_ns; /* that clock minus UTC, as it is taken off now; 0 where no UTC can be made of the domain */
	uint8_t reserved0[16];
	/* Published = raw - base. Taken when a ring first meets a holder, so that the books of a ring start at nought
	 * even where the kernel's counters do not. Written by the helper thread at attach. */
	struct nt_source_stats base;
	uint64_t holder_id; /* whose counters `base` refers to */
	/* The loop's note of its last batch, written before it is published: where the source stood, and what had been counted until
	 * then. A successor that finds the source at the same position is handed that batch again, and knows by these how many of it
	 * stand in the ring already. All nought, as in a new slot, is true too. PROTOCOL.md, hand-over. */
	uint64_t batch_packets;    /* loop.packets before the batch */
	uint64_t batch_oversize;   /* loop.oversize before it */
	uint64_t batch_unselected; /* loop.unselected before it */
	uint64_t batch_position;   /* stored last: with it the others count */
	uint64_t file_base;        /* pcap: packets + oversize + unselected when its file was begun */
	uint64_t file_first_seq;   /* pcap: ring sequence that came next then */
	uint8_t reserved1[72];
	struct nt_source_stats stats;
	struct nt_loop_counters loop;
	uint8_t reserved2[1024];
};

_Static_assert(sizeof(struct nt_loop_counters) == 512, "whole lines");
_Static_assert(sizeof(struct nt_source_stats) == 128, "one pair of lines");
_Static_assert(offsetof(struct nt_source_counters, stamp_kind) == 96, "stamp_kind");
_Static_assert(offsetof(struct nt_source_counters, stamp_domain) == 100, "stamp_domain");
_Static_assert(offsetof(struct nt_source_counters, stamp_offset_ns) == 104, "stamp_offset_ns");
_Static_assert(offsetof(struct nt_source_counters, base) == 128, "base");
_Static_assert(offsetof(struct nt_source_counters, stats) == 384, "the helper's line");
_Static_assert(offsetof(struct nt_source_counters, loop) == 512, "the loop's lines");
_Static_assert(offsetof(struct nt_source_counters, batch_position) == 288, "batch_position");
_Static_assert(sizeof(struct nt_source_counters) == 2048, "source entry");

#endif
