/* SPDX-License-Identifier: Apache-2.0 */
/* The ring's shared memory, byte for byte. PROTOCOL.md draws it and says why. Change anything here: raise
 * NT_RING_LAYOUT_VERSION; but for reserved bytes put to use, where the zeros of an older ring say that nothing is known. */
#ifndef NT_RING_LAYOUT_H
#define NT_RING_LAYOUT_H

#include "flow.h"
#include "../loop/counters.h"

#include <stddef.h>
#include <stdint.h>

#define NT_RING_MAGIC 0x31474E5250544E00ull /* "\0NTPRNG1", little-endian; written last, after prefaulting */
#define NT_RING_LAYOUT_VERSION 3u

#define NT_RING_ALIGNMENT 8u             /* of every record */
#define NT_RING_CHUNK_BYTES (256u << 10) /* a reader copies at most this much before it re-checks */
#define NT_RING_RECORD_MAX (128u << 10)  /* header and frame; less in small rings: see max_record_bytes */
#define NT_RING_BATCH_MAX (1u << 20)     /* bytes between two tail stores; less in small rings */
#define NT_RING_CAPACITY_MIN (64u << 10)
#define NT_RING_BATCHES_MIN 16u        /* capacity is at least this many of the largest batch */
#define NT_RING_GRANULE_MAX (1u << 20) /* one index entry for each granule; capacity / 16 in small rings */
#define NT_RING_FLOWS_MAX 8192u
#define NT_RING_EPOCHS 256u /* history kept: an older epoch's entry is overwritten */
#define NT_RING_INDEX_EMPTY UINT64_MAX

/* where the data lie */
enum nt_memory_kind {
	NT_MEMORY_SHM = 0, /* /dev/shm, ordinary pages: the fallback */
	NT_MEMORY_HUGE_2M = 1,
	NT_MEMORY_HUGE_1G = 2,
};

/* the low 14 are columns of the archive, three of which a decoder of switches sets */
enum nt_record_flag {
	NT_RECORD_TRUNCATED = 1u << 0,      /* capture length < wire length */
	NT_RECORD_UNSTAMPED = 1u << 1,      /* no stamp from below: ts is the poll time */
	NT_RECORD_REBUILT_HEADER = 1u << 2, /* Ethernet, IP and UDP headers were rebuilt, not seen */
	NT_RECORD_BACKWARDS = 1u << 3,      /* stamp earlier than the previous one of its flow */
	NT_RECORD_FRAGMENT = 1u << 4,       /* IP fragment (set by the column decoder) */
	NT_RECORD_BAD_CHECKSUM = 1u << 5,   /* IPv4 header checksum wrong (set by the column decoder) */
	NT_RECORD_UNPARSED = 1u << 6,       /* not UDP over IP as far as we parse (set by the column decoder) */
	NT_RECORD_BAD_STAMP = 1u << 7,  /* a stamp off this host's clock by more than the bound: ts is the poll time; or a file's
	                                      * whose fraction is a second or more, or that no int64 holds: ts is what can be made of it */
	NT_RECORD_LINUX_SLL = 1u << 8,  /* the frame begins with a Linux cooked header; without any of the three: Ethernet */
	NT_RECORD_LINUX_SLL2 = 1u << 9, /* with one of version 2 */
	NT_RECORD_RAW_IP = 1u << 10,    /* with the IP header */
	NT_RECORD_RAW_STAMP = 1u << 14, /* ring-internal: behind the frame stands the stamp that ts was taken instead of */
	NT_RECORD_PADDING = 1u << 15,   /* ring-internal: skip; carries no sequence */
};

enum nt_ts_kind { NT_TS_NIC = 0, NT_TS_XDP = 1, NT_TS_KERNEL = 2, NT_TS_USER = 3, NT_TS_FILE = 4 };

#define NT_RX_DELAY_UNKNOWN INT32_MIN
#define NT_RX_DELAY_MAX INT32_MAX /* saturated: at least this */
#define NT_RX_DELAY_MIN (INT32_MIN + 1)

/* A padding record may be as short as 8 bytes: only `length` and `flags` of it may be read. */
struct nt_record {
	uint32_t length;         /* header, frame and raw stamp, not rounded up; the next record starts at the next multiple of 8 */
	uint16_t flags;          /* enum nt_record_flag */
	uint8_t source;          /* index into the source table */
	uint8_t ts_kind;         /* enum nt_ts_kind */
	uint64_t ring_seq;       /* from 1, +1 per record, never reset, goes on across epochs */
	int64_t ts_ns;           /* UTC, ns since 1970 */
	uint64_t flow_seq;       /* +1 per packet of this flow: since the holder started (afxdp), or in this epoch; 0: none */
	uint32_t flow_id;        /* NT_FLOW_OTHER, or an entry of the flow table */
	int32_t rx_delay_ns;     /* poll time minus ts; saturates; NT_RX_DELAY_UNKNOWN */
	uint32_t capture_length; /* bytes of frame that follow */
	uint32_t wire_length;    /* bytes of frame on the wire, without FCS unless it was delivered */
};

#define NT_RECORD_HEADER_BYTES 48u
/* With NT_RECORD_RAW_STAMP an int64_t follows the frame, at no alignment of its own: with NT_RECORD_BAD_STAMP in UTC as it was
 * understood, with NT_RECORD_UNSTAMPED what a clock said of which no UTC can be made. */
#define NT_RECORD_RAW_STAMP_BYTES 8u

/* History of writers: a record's epoch is that of the newest entry whose first_seq is not beyond it. */
struct nt_ring_epoch {
	uint64_t epoch;      /* entry is at epoch % NT_RING_EPOCHS; 0: never used */
	uint64_t first_seq;  /* ring sequence of the first record this writer may publish */
	int64_t attached_ns; /* UTC */
	uint64_t holder_id;  /* random per holder process; flow sequences of afxdp restart with it; 0: no holder */
	uint32_t writer_pid;
	uint32_t clock_domain;   /* enum nt_clock_domain */
	int64_t tai_offset_ns;   /* CLOCK_TAI - CLOCK_REALTIME at attach */
	uint64_t first_position; /* where this writer began: a start to walk from when the index has none */
	uint64_t reserved;
};

enum nt_clock_domain {
	NT_CLOCK_UNKNOWN = 0,
	NT_CLOCK_UTC = 1,
	NT_CLOCK_TAI = 2,
	NT_CLOCK_MONOTONIC = 3,
	NT_CLOCK_FREE = 4, /* a counter of its own, that nobody set: no UTC can be made of it */
};

/* First page of the descriptor file. Constant after creation but for `epoch`, `writer_pid`, `flow_count`, `source_count` and what is
 * said of system calls. */
struct nt_ring_descriptor {
	uint64_t magic;
	uint32_t layout_version;
	uint32_t memory_kind;      /* enum nt_memory_kind */
	uint8_t ring_id[16];       /* random: with the ring sequence it names a record for ever */
	uint64_t capacity;         /* bytes of data, a power of two */
	uint64_t max_record_bytes; /* header and frame */
	uint64_t max_batch_bytes;
	uint64_t granule_bytes;    /* one index entry each; a power of two */
	uint64_t index_entries;    /* capacity / granule_bytes */
	uint64_t descriptor_bytes; /* size of this file; offsets below are into it */
	uint64_t positions_offset;
	uint64_t epochs_offset;
	uint64_t flows_offset;
	uint64_t index_offset;
	uint64_t sources_offset;
	int64_t created_ns;       /* UTC */
	uint64_t epoch;           /* current writer's; release-stored after its entry is complete */
	uint64_t flow_count;      /* entries in use; release-stored after the entry; append-only */
	uint64_t source_count;    /* likewise */
	uint32_t writer_pid;      /* 0 after a clean detach */
	uint32_t locked;          /* 1: pages are locked in memory */
	uint32_t page_bytes_log2; /* of the data */
	uint32_t reserved0;
	char name[64];
	char host[64];
	char data_path[256];
	char fallback_reason[256]; /* why the data are not on huge pages; empty when they are, or were not asked for */
	uint64_t data_device;      /* st_dev and st_ino of the data file: what else comes to lie at data_path is not this ring's */
	uint64_t data_inode;
	uint64_t system_calls;     /* made by loops under NT_SECCOMP_COUNT, since the ring was made: each is a defect */
	uint32_t last_system_call; /* the newest one's number and 1; 0: there was none */
	uint32_t seccomp;          /* enum nt_seccomp in force for the current loop, or the last; NT_SECCOMP_OFF: nobody counts */
	char seccomp_reason[128];  /* why nobody counts, where that is this host's doing; else empty */
	uint8_t reserved1[56];
	/* On lines of their own: the loop counts each round that took it NT_LOOP_GAP_NS or longer to come round to. Nought in an older
	 * ring. */
	uint64_t gap_threshold_ns;              /* 0: nobody measures */
	uint64_t gap_max_ns;                    /* since the ring was made */
	uint64_t gaps_ns;                       /* all of them together */
	uint64_t gap_histogram[NT_GAP_BUCKETS]; /* bucket b: 2^(b-1) to 2^b - 1 ns; the last open-ended */
	uint8_t reserved2[2728];
};

/* Each on lines of its own: the writer stores both once a batch, readers poll `tail` only. */
struct nt_ring_positions {
	uint64_t tail_intent; /* bytes below tail_intent - capacity may be overwritten at any moment; never goes back */
	uint8_t pad0[120];
	uint64_t tail; /* bytes below tail are published */
	uint8_t pad1[120];
};

#define NT_RING_SOURCES_MAX 64u

_Static_assert(sizeof(struct nt_record) == NT_RECORD_HEADER_BYTES, "record header");
_Static_assert(offsetof(struct nt_record, flags) == 4, "flags");
_Static_assert(offsetof(struct nt_record, source) == 6, "source");
_Static_assert(offsetof(struct nt_record, ts_kind) == 7, "ts_kind");
_Static_assert(offsetof(struct nt_record, ring_seq) == 8, "ring_seq");
_Static_assert(offsetof(struct nt_record, ts_ns) == 16, "ts_ns");
_Static_assert(offsetof(struct nt_record, flow_seq) == 24, "flow_seq");
_Static_assert(offsetof(struct nt_record, flow_id) == 32, "flow_id");
_Static_assert(offsetof(struct nt_record, rx_delay_ns) == 36, "rx_delay_ns");
_Static_assert(offsetof(struct nt_record, capture_length) == 40, "capture_length");
_Static_assert(offsetof(struct nt_record, wire_length) == 44, "wire_length");
_Static_assert(sizeof(struct nt_ring_epoch) == 64, "epoch entry");
_Static_assert(offsetof(struct nt_ring_epoch, holder_id) == 24, "holder_id");
_Static_assert(offsetof(struct nt_ring_epoch, tai_offset_ns) == 40, "tai_offset_ns");
_Static_assert(offsetof(struct nt_ring_epoch, first_position) == 48, "first_position");
_Static_assert(sizeof(struct nt_ring_descriptor) == 4096, "descriptor is one page");
_Static_assert(offsetof(struct nt_ring_descriptor, ring_id) == 16, "ring_id");
_Static_assert(offsetof(struct nt_ring_descriptor, capacity) == 32, "capacity");
_Static_assert(offsetof(struct nt_ring_descriptor, positions_offset) == 80, "positions_offset");
_Static_assert(offsetof(struct nt_ring_descriptor, created_ns) == 120, "created_ns");
_Static_assert(offsetof(struct nt_ring_descriptor, epoch) == 128, "epoch");
_Static_assert(offsetof(struct nt_ring_descriptor, writer_pid) == 152, "writer_pid");
_Static_assert(offsetof(struct nt_ring_descriptor, name) == 168, "name");
_Static_assert(offsetof(struct nt_ring_descriptor, data_path) == 296, "data_path");
_Static_assert(offsetof(struct nt_ring_descriptor, fallback_reason) == 552, "fallback_reason");
_Static_assert(offsetof(struct nt_ring_descriptor, data_device) == 808, "data_device");
_Static_assert(offsetof(struct nt_ring_descriptor, data_inode) == 816, "data_inode");
_Static_assert(offsetof(struct nt_ring_descriptor, system_calls) == 824, "system_calls");
_Static_assert(offsetof(struct nt_ring_descriptor, seccomp) == 836, "seccomp");
_Static_assert(offsetof(struct nt_ring_descriptor, seccomp_reason) == 840, "seccomp_reason");
_Static_assert(offsetof(struct nt_ring_descriptor, gap_threshold_ns) == 1024, "gaps stand on lines of their own");
_Static_assert(offsetof(struct nt_ring_descriptor, gap_histogram) == 1048, "gap_histogram");
_Static_assert(sizeof(struct nt_ring_positions) == 256, "two pairs of lines");
_Static_assert(offsetof(struct nt_ring_positions, tail) == 128, "tail stands on lines of its own");
_Static_assert(NT_RING_RECORD_MAX <= NT_RING_CHUNK_BYTES, "a chunk holds the largest record");

/* Bytes of the header and of what follows the frame: the rest of `length` is the frame. */
static inline uint32_t nt_record_bytes_beside_frame(uint16_t flags)
{
	return NT_RECORD_HEADER_BYTES + (flags & NT_RECORD_RAW_STAMP ? NT_RECORD_RAW_STAMP_BYTES : 0);
}

static inline uint64_t nt_record_span(uint32_t length)
{
	return ((uint64_t)length + NT_RING_ALIGNMENT - 1) & ~(uint64_t)(NT_RING_ALIGNMENT - 1);
}

#endif
