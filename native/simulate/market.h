/* SPDX-License-Identifier: Apache-2.0 */
/* A market of made-up symbols with bounded books: an endless, seeded stream of ITCH messages that a book builder can follow.
 * Every reference in E, C, X, D and U is of an order that lives; no bid is entered at or above the best ask. */
#ifndef NT_SIMULATE_MARKET_H
#define NT_SIMULATE_MARKET_H

#include "itch.h"

#define NT_MARKET_SYMBOLS_MAX 4096u
#define NT_MARKET_SIDE_ORDERS 32u /* bound on each side of each book */

struct nt_market;

/* 0, -EINVAL (symbols outside 1..NT_MARKET_SYMBOLS_MAX) or -ENOMEM. */
int nt_market_create(struct nt_market **market, uint64_t seed, uint32_t symbols);
void nt_market_destroy(struct nt_market *market);
/* Writes the next message and returns its length. Start of messages, the directory, start of system and market hours come first. */
size_t nt_market_next_message(struct nt_market *market, uint64_t since_midnight_ns, uint8_t *out);
/* Messages of the opening (directory and events) that are still to come. */
uint32_t nt_market_opening_left(const struct nt_market *market);

#endif
