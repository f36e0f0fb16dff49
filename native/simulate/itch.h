/* SPDX-License-Identifier: Apache-2.0 */
/* Nasdaq TotalView-ITCH 5.0 messages: big-endian, no padding, prices in 1/10000 dollar, timestamps in ns since midnight (48 bits).
 * Each writer puts one whole message at `out` (NT_ITCH_MESSAGE_BYTES_MAX must fit) and returns its length.
 *
 * Every message:  | type 1 | locate 2 | tracking 2 | timestamp 6 | body ...
 * Add order, e.g.: 41 0003 0001 1F1ACED9F000 00000000000000A7 42 00000064 5A41414420202020 0007A120
 *                  'A'  3    1   09:30:00    reference 167   'B'  100    "ZAAD    "       $50.00 */
#ifndef NT_SIMULATE_ITCH_H
#define NT_SIMULATE_ITCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NT_ITCH_STOCK_BYTES 8u
#define NT_ITCH_MESSAGE_BYTES_MAX 44u

enum nt_itch_length {
	NT_ITCH_SYSTEM_EVENT = 12,
	NT_ITCH_STOCK_DIRECTORY = 39,
	NT_ITCH_ADD = 36,
	NT_ITCH_ADD_ATTRIBUTED = 40,
	NT_ITCH_EXECUTED = 31,
	NT_ITCH_EXECUTED_AT_PRICE = 36,
	NT_ITCH_CANCEL = 23,
	NT_ITCH_DELETE = 19,
	NT_ITCH_REPLACE = 35,
	NT_ITCH_TRADE = 44,
};

struct nt_itch_stamp {
	uint64_t since_midnight_ns; /* below 86,400,000,000,000 */
	uint16_t locate;            /* 0: the whole market */
	uint16_t tracking;
};

struct nt_itch_order {
	uint64_t reference;
	uint32_t shares;
	uint32_t price; /* 1/10000 dollar */
};

size_t nt_itch_write_system_event(uint8_t *out, struct nt_itch_stamp stamp, char event);
size_t nt_itch_write_stock_directory(uint8_t *out, struct nt_itch_stamp stamp, const char *stock, uint32_t round_lot);
/* `attribution`: four characters for 'F', NULL for 'A'. */
size_t nt_itch_write_add(uint8_t *out, struct nt_itch_stamp stamp, const struct nt_itch_order *order, char side, const char *stock,
			 const char *attribution);
size_t nt_itch_write_executed(uint8_t *out, struct nt_itch_stamp stamp, uint64_t reference, uint32_t shares, uint64_t match);
size_t nt_itch_write_executed_at_price(uint8_t *out, struct nt_itch_stamp stamp, uint64_t reference, uint32_t shares,
				       uint64_t match, char printable, uint32_t price);
size_t nt_itch_write_cancel(uint8_t *out, struct nt_itch_stamp stamp, uint64_t reference, uint32_t shares);
size_t nt_itch_write_delete(uint8_t *out, struct nt_itch_stamp stamp, uint64_t reference);
/* `order` is the new one; `replaced` the reference that it takes the place of. */
size_t nt_itch_write_replace(uint8_t *out, struct nt_itch_stamp stamp, uint64_t replaced, const struct nt_itch_order *order);
/* Against a hidden order: `order->reference` is 0. */
size_t nt_itch_write_trade(uint8_t *out, struct nt_itch_stamp stamp, const struct nt_itch_order *order, char side,
			   const char *stock, uint64_t match);

static inline uint8_t *nt_put_16(uint8_t *out, uint16_t value)
{
	value = __builtin_bswap16(value);
	memcpy(out, &value, 2);
	return out + 2;
}

static inline uint8_t *nt_put_32(uint8_t *out, uint32_t value)
{
	value = __builtin_bswap32(value);
	memcpy(out, &value, 4);
	return out + 4;
}

static inline uint8_t *nt_put_64(uint8_t *out, uint64_t value)
{
	value = __builtin_bswap64(value);
	memcpy(out, &value, 8);
	return out + 8;
}

#endif
