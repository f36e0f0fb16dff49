/* SPDX-License-Identifier: Apache-2.0 */
/* One line (A, B, ...) of the simulated exchange: its own copy of the stream, its own socket, faults and counters. */
#ifndef NT_SIMULATE_LINE_H
#define NT_SIMULATE_LINE_H

#include "faults.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define NT_LINE_BATCH 64u
#define NT_LINE_SLOTS (NT_LINE_BATCH + 2u) /* of the last datagram there may be a second one, and a late one behind it */

struct nt_sender_line_options {
	char name[16];
	uint32_t group; /* IPv4, network order */
	uint32_t port;
	uint32_t interface_index;
	uint32_t ttl;
	uint32_t loop; /* 1: the kernel also delivers to receivers on this host */
	uint32_t reserved;
	uint64_t delay_ns; /* after the due time: how far this line lags behind */
	struct nt_sender_fault_list gaps;
	struct nt_sender_fault_list duplicates;
	struct nt_sender_fault_list reorders;
	struct nt_sender_restart *restarts; /* one for each of the exchange's; the caller's; NULL: not to be told */
};

/* Written by the sending thread only. `sent` counts datagrams that the kernel took (it answered no error); what a driver or the
 * receiving side drops after that is not visible from here. */
struct nt_sender_counters {
	uint64_t
		generated; /* datagrams: sent - repeated + withheld + those that wait: for the kernel (a batch at most), or to be late */
	uint64_t sent;
	uint64_t withheld;
	uint64_t repeated;    /* queued a second time */
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
	uint32_t restarts; /* of the stream, so far */
	bool ended;
	bool waiting;                  /* a made datagram is in `ahead`, not yet due */
	struct nt_sender_fault *holds; /* the reorder whose first datagram is in `held`; NULL: none */
	struct nt_exchange_packet held;
	uint8_t *held_payload;
	uint64_t next_sequence; /* behind the last datagram made */
	struct nt_exchange_packet ahead;
	uint8_t *ahead_payload; /* swapped with a batch's when it becomes due */
	uint32_t queued;        /* due, not withheld, not yet taken by the kernel: [taken, queued) */
	uint32_t taken;
	struct nt_exchange_packet packets[NT_LINE_SLOTS];
	uint8_t *payloads[NT_LINE_SLOTS];
	struct iovec vectors[NT_LINE_SLOTS];
	struct mmsghdr messages[NT_LINE_SLOTS];
	uint8_t storage[NT_LINE_SLOTS + 2][NT_MOLD_PAYLOAD_BYTES_MAX];
};

int nt_line_open(struct nt_line **line, const struct nt_exchange_options *exchange, const struct nt_sender_line_options *options,
		 struct nt_fault *fault);
void nt_line_close(struct nt_line *line);
/* Queues what is due at `now_ns` (since the start), up to one batch, with the faults asked for; they are counted. */
void nt_line_gather(struct nt_line *line, uint64_t now_ns);
/* Queues what is held back to be late, if anything is: the stream goes no further. */
void nt_line_release(struct nt_line *line);
/* Offers the queue to the kernel once: 0, -EAGAIN or -ENOBUFS (try again), or the errno that ends the line. */
int nt_line_send(struct nt_line *line, uint64_t now_ns);
/* When the next datagram is due, UINT64_MAX after the end. Only after a gather. */
uint64_t nt_line_due_ns(const struct nt_line *line);

#endif
