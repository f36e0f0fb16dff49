/* SPDX-License-Identifier: Apache-2.0 */
/* One line (A, B, ...) of the simulated exchange: its own copy of the stream, its own socket, gaps and counters. */
#ifndef NT_SIMULATE_LINE_H
#define NT_SIMULATE_LINE_H

#include "mold.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#define NT_LINE_BATCH 64u

/* Datagrams first..first+count-1 are made but not sent. The last three are filled in as the stream passes. */
struct nt_sender_gap {
	uint64_t first_packet;
	uint64_t packets;
	uint64_t withheld;       /* datagrams */
	uint64_t first_sequence; /* of the first message withheld; 0: the gap was not reached */
	uint64_t messages;
};

struct nt_sender_line_options {
	char name[16];
	uint32_t group; /* IPv4, network order */
	uint32_t port;
	uint32_t interface_index;
	uint32_t ttl;
	uint32_t loop; /* 1: the kernel also delivers to receivers on this host */
	uint32_t gap_count;
	uint64_t delay_ns;          /* after the due time: how far this line lags behind */
	struct nt_sender_gap *gaps; /* ascending, not overlapping; the caller's, kept until the sender is closed */
};

/* Written by the sending thread only. `sent` counts datagrams that the kernel took (it answered no error); what a driver or the
 * receiving side drops after that is not visible from here. */
struct nt_sender_counters {
	uint64_t generated; /* datagrams: sent + withheld + those (one batch at most) that wait for the kernel */
	uint64_t sent;
	uint64_t withheld;
	uint64_t heartbeats;  /* among the sent */
	uint64_t ends;        /* among the sent */
	uint64_t messages;    /* in the sent */
	uint64_t bytes;       /* payload bytes of the sent */
	uint64_t batches;     /* sendmmsg calls that took at least one */
	uint64_t retries;     /* refusals for want of buffers (EAGAIN, ENOBUFS), each tried again */
	uint64_t crc32c;      /* of all payloads sent, end to end, in order */
	uint64_t late_max_ns; /* worst delay behind the schedule */
	uint64_t first_ns;    /* UTC; 0: nothing sent yet */
	uint64_t last_ns;
};

struct nt_line {
	struct nt_sender_line_options options;
	struct nt_sender_counters counters;
	struct nt_exchange *exchange;
	int socket;
	uint32_t gap; /* index of the first gap not yet passed */
	bool ended;
	bool waiting; /* a made datagram is in `ahead`, not yet due */
	struct nt_exchange_packet ahead;
	uint8_t *ahead_payload; /* swapped with a batch's when it becomes due */
	uint32_t queued;        /* due, not withheld, not yet taken by the kernel: [taken, queued) */
	uint32_t taken;
	struct nt_exchange_packet packets[NT_LINE_BATCH];
	uint8_t *payloads[NT_LINE_BATCH];
	struct iovec vectors[NT_LINE_BATCH];
	struct mmsghdr messages[NT_LINE_BATCH];
	uint8_t storage[NT_LINE_BATCH + 1][NT_MOLD_PAYLOAD_BYTES_MAX];
};

int nt_line_open(struct nt_line **line, const struct nt_exchange_options *exchange, const struct nt_sender_line_options *options,
		 struct nt_fault *fault);
void nt_line_close(struct nt_line *line);
/* Queues what is due at `now_ns` (since the start), up to one batch; gaps are counted and skipped. */
void nt_line_gather(struct nt_line *line, uint64_t now_ns);
/* Offers the queue to the kernel once: 0, -EAGAIN or -ENOBUFS (try again), or the errno that ends the line. */
int nt_line_send(struct nt_line *line, uint64_t now_ns);
/* When the next datagram is due, UINT64_MAX after the end. Only after a gather. */
uint64_t nt_line_due_ns(const struct nt_line *line);

#endif
