/* SPDX-License-Identifier: Apache-2.0 */
/* How the holder lends kernel objects: a SOCK_SEQPACKET Unix socket. On connecting, the borrower gets one nt_lend_hello, then
 * `lane_count` nt_lend_lane, each with its file descriptors (SCM_RIGHTS). The connection stays open as long as the borrower uses
 * them: the holder lends to one at a time, and a closed connection is how each learns of the other's death. */
#ifndef NT_LEND_H
#define NT_LEND_H

#include "../fault.h"

#include <stdint.h>

#define NT_LEND_MAGIC 0x31444E454C544Eull
#define NT_LEND_VERSION 2u
#define NT_LEND_LANES_MAX 64u

enum nt_lend_status { NT_LEND_OK = 0, NT_LEND_BUSY = 1, NT_LEND_DENIED = 2 };

struct nt_lend_hello {
	uint64_t magic;
	uint32_t version;
	uint32_t status;    /* enum nt_lend_status; unless OK nothing follows */
	uint64_t holder_id; /* random per holder process */
	uint32_t lane_count;
	uint32_t borrower_pid; /* with BUSY: who has them */
	uint32_t holder_pid;
	uint32_t reserved;
};

/* One lane: one AF_XDP socket on one queue of one interface, with a UMEM of its own. fds, in order: socket, UMEM memfd, counters
 * map (mmapable array of struct nt_xdp_counters by queue). Or one packet socket with its TPACKET_V3 ring: socket, memfd of a
 * struct nt_packet_state (../source/packet.h); `queue` is its place in the fanout. */
#define NT_LEND_LANE_FDS 3
#define NT_LEND_PACKET_FDS 2
struct nt_lend_lane {
	char interface[16];
	char driver[32];
	uint32_t ifindex;
	uint32_t queue;
	uint32_t frames; /* N: UMEM frames = RX ring = fill ring descriptors */
	uint32_t frame_bytes;
	uint32_t zero_copy;
	uint32_t skb_mode;
	uint32_t stamp_kind;  /* enum nt_xdp_stamp */
	uint32_t umem_memory; /* enum nt_memory_kind */
	uint64_t umem_bytes;
	uint32_t kind;        /* enum nt_source_kind: NT_SOURCE_AFXDP or NT_SOURCE_PACKET */
	uint32_t block_bytes; /* packet */
	uint32_t block_count; /* packet */
	uint32_t reserved0;
	uint8_t reserved[8];
};

_Static_assert(sizeof(struct nt_lend_hello) == 40, "hello");
_Static_assert(sizeof(struct nt_lend_lane) == 112, "lane");

struct nt_borrowed_lane {
	struct nt_lend_lane facts;
	int socket_fd;
	int umem_fd;     /* packet: of the state */
	int counters_fd; /* packet: -1 */
};

struct nt_borrowed {
	int connection; /* becomes readable (EOF) when the holder is gone */
	uint64_t holder_id;
	uint32_t lane_count;
	struct nt_borrowed_lane lanes[NT_LEND_LANES_MAX];
};

/* Connects to the holder and takes all lanes over. */
int nt_borrow(struct nt_borrowed *borrowed, const char *socket_path, struct nt_fault *fault);
void nt_borrow_end(struct nt_borrowed *borrowed);

#endif
