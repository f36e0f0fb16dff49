/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange as a stream of MoldUDP64 datagrams, made without sending them. Everything derives from the options: the same options
 * give the same bytes on any machine, at any time, so that a receiver can be checked against a log that names them.
 *
 *   | session 10 | sequence of first message 8 | count 2 | { length 2 | message } x count |
 *
 * Count 0 is a heartbeat, 0xFFFF the end of the session; both carry the next sequence. Sequences begin at 1, and again at 1 where a
 * restart is asked for: in the same session, or in a new one, named NAMER01, NAMER02, ... (of the first name at most seven bytes). */
#ifndef NT_SIMULATE_MOLD_H
#define NT_SIMULATE_MOLD_H

#include "../fault.h"

#include <stdint.h>

#define NT_MOLD_HEADER_BYTES 20u
#define NT_MOLD_SESSION_BYTES 10u
#define NT_MOLD_PAYLOAD_BYTES_MAX 1400u
#define NT_MOLD_END_OF_SESSION 0xFFFFu
#define NT_EXCHANGE_RESTARTS_MAX 8u

struct nt_exchange_restart {
	uint64_t packet;      /* number of the datagram that has, or announces, sequence 1 again: 2 or more */
	uint64_t new_session; /* 1: in a new session */
};

struct nt_exchange_options {
	uint64_t seed;
	uint64_t rate_mhz; /* data packets in 1,000 s: 10,000 packets a second are 10,000,000 */
	uint64_t packets;  /* data packets in all; 0: endless */
	uint32_t symbols;
	uint32_t burst_percent;  /* 100: evenly spaced; 400: sent four times as fast, in bursts, at the same average */
	uint32_t end_of_session; /* 1: an end-of-session packet follows the last data packet */
	char session[NT_MOLD_SESSION_BYTES + 2]; /* 10 printable characters, space-padded, NUL-terminated */
	uint64_t restart_count;
	struct nt_exchange_restart restarts[NT_EXCHANGE_RESTARTS_MAX]; /* ascending */
};

enum nt_exchange_kind { NT_EXCHANGE_DATA = 0, NT_EXCHANGE_HEARTBEAT = 1, NT_EXCHANGE_END = 2 };

struct nt_exchange_packet {
	uint64_t number;   /* of the datagram, from 1, heartbeats and the end included */
	uint64_t due_ns;   /* after the first */
	uint64_t sequence; /* of the first message, or the next one expected */
	uint32_t messages;
	uint32_t bytes;
	uint32_t kind;     /* enum nt_exchange_kind */
	uint32_t restarts; /* so many came before it, or with it */
};

struct nt_exchange;

int nt_exchange_create(struct nt_exchange **exchange, const struct nt_exchange_options *options, struct nt_fault *fault);
void nt_exchange_destroy(struct nt_exchange *exchange);
/* Writes the next datagram's payload (room for NT_MOLD_PAYLOAD_BYTES_MAX) and says what it is: 1, or 0 at the end of the stream. */
int nt_exchange_next_packet(struct nt_exchange *exchange, uint8_t *payload, struct nt_exchange_packet *packet);
/* Many at once: payloads end to end in `payloads`, ends[i] = where the i-th ends. Stops when `most` are made, less than a largest
 * payload is free, or the stream has ended; returns how many. */
uint32_t nt_exchange_fill(struct nt_exchange *exchange, uint8_t *payloads, uint64_t capacity_bytes,
			  struct nt_exchange_packet *packets, int32_t *ends, uint32_t most);

#endif
