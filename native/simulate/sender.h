/* SPDX-License-Identifier: Apache-2.0 */
/* Sends the simulated exchange on its lines, paced by CLOCK_MONOTONIC, from the calling thread. One datagram a packet (no GSO). */
#ifndef NT_SIMULATE_SENDER_H
#define NT_SIMULATE_SENDER_H

#include "line.h"

#define NT_SENDER_LINES_MAX 8u

struct nt_sender;

/* Opens every line's socket in the calling thread's network namespace. Nothing is sent yet. */
int nt_sender_open(struct nt_sender **sender, const struct nt_exchange_options *exchange,
		   const struct nt_sender_line_options *lines, uint32_t line_count, struct nt_fault *fault);
/* Sends until the stream ends or nt_sender_stop; a sender runs once. What was due at a stop is still sent. */
int nt_sender_run(struct nt_sender *sender, struct nt_fault *fault);
/* From any thread. A sleeping sender answers within 20 ms. */
void nt_sender_stop(struct nt_sender *sender);
/* A copy of one line's counters (`line` as in the array given to open); from any thread, while it runs. Each number is whole,
 * the set is not one instant's. */
void nt_sender_read(const struct nt_sender *sender, uint32_t line, struct nt_sender_counters *counters);
void nt_sender_close(struct nt_sender *sender);

#endif
