/* SPDX-License-Identifier: Apache-2.0 */
#include "itch.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "nt_put_* swap unconditionally");

static uint8_t *put_8(uint8_t *out, char value)
{
	*out = (uint8_t)value;
	return out + 1;
}

static uint8_t *put_text(uint8_t *out, const char *text, size_t bytes)
{
	memcpy(out, text, bytes);
	return out + bytes;
}

static uint8_t *put_start(uint8_t *out, char type, struct nt_itch_stamp stamp)
{
	out = put_8(out, type);
	out = nt_put_16(out, stamp.locate);
	out = nt_put_16(out, stamp.tracking);
	out = nt_put_16(out, (uint16_t)(stamp.since_midnight_ns >> 32));
	return nt_put_32(out, (uint32_t)stamp.since_midnight_ns);
}

size_t nt_itch_write_system_event(uint8_t *out, struct nt_itch_stamp stamp, char event)
{
	put_8(put_start(out, 'S', stamp), event);
	return NT_ITCH_SYSTEM_EVENT;
}

size_t nt_itch_write_stock_directory(uint8_t *out, struct nt_itch_stamp stamp, const char *stock, uint32_t round_lot)
{
	out = put_start(out, 'R', stamp);
	out = put_text(out, stock, NT_ITCH_STOCK_BYTES);
	out = put_8(out, 'Q'); /* market category: Nasdaq Global Select */
	out = put_8(out, 'N'); /* financial status: normal */
	out = nt_put_32(out, round_lot);
	out = put_8(out, 'N');        /* round lots only */
	out = put_8(out, 'C');        /* issue classification: common stock */
	out = put_text(out, "Z ", 2); /* issue sub-type: not applicable */
	out = put_8(out, 'T');        /* authenticity: test, which these are */
	out = put_8(out, 'N');        /* short sale threshold */
	out = put_8(out, 'N');        /* IPO flag */
	out = put_8(out, '1');        /* LULD reference price tier */
	out = put_8(out, 'N');        /* ETP flag */
	out = nt_put_32(out, 0);      /* ETP leverage factor */
	put_8(out, 'N');              /* inverse */
	return NT_ITCH_STOCK_DIRECTORY;
}

size_t nt_itch_write_add(uint8_t *out, struct nt_itch_stamp stamp, const struct nt_itch_order *order, char side, const char *stock,
			 const char *attribution)
{
	out = put_start(out, attribution ? 'F' : 'A', stamp);
	out = nt_put_64(out, order->reference);
	out = put_8(out, side);
	out = nt_put_32(out, order->shares);
	out = put_text(out, stock, NT_ITCH_STOCK_BYTES);
	out = nt_put_32(out, order->price);
	if (!attribution)
		return NT_ITCH_ADD;
	put_text(out, attribution, 4);
	return NT_ITCH_ADD_ATTRIBUTED;
}

size_t nt_itch_write_executed(uint8_t *out, struct nt_itch_stamp stamp, uint64_t reference, uint32_t shares, uint64_t match)
{
	out = put_start(out, 'E', stamp);
	out = nt_put_64(out, reference);
	out = nt_put_32(out, shares);
	nt_put_64(out, match);
	return NT_ITCH_EXECUTED;
}

size_t nt_itch_write_executed_at_price(uint8_t *out, struct nt_itch_stamp stamp, uint64_t reference, uint32_t shares,
				       uint64_t match, char printable, uint32_t price)
{
	out = put_start(out, 'C', stamp);
	out = nt_put_64(out, reference);
	out = nt_put_32(out, shares);
	out = nt_put_64(out, match);
	out = put_8(out, printable);
	nt_put_32(out, price);
	return NT_ITCH_EXECUTED_AT_PRICE;
}

size_t nt_itch_write_cancel(uint8_t *out, struct nt_itch_stamp stamp, uint64_t reference, uint32_t shares)
{
	out = put_start(out, 'X', stamp);
	out = nt_put_64(out, reference);
	nt_put_32(out, shares);
	return NT_ITCH_CANCEL;
}

size_t nt_itch_write_delete(uint8_t *out, struct nt_itch_stamp stamp, uint64_t reference)
{
	nt_put_64(put_start(out, 'D', stamp), reference);
	return NT_ITCH_DELETE;
}

size_t nt_itch_write_replace(uint8_t *out, struct nt_itch_stamp stamp, uint64_t replaced, const struct nt_itch_order *order)
{
	out = put_start(out, 'U', stamp);
	out = nt_put_64(out, replaced);
	out = nt_put_64(out, order->reference);
	out = nt_put_32(out, order->shares);
	nt_put_32(out, order->price);
	return NT_ITCH_REPLACE;
}

size_t nt_itch_write_trade(uint8_t *out, struct nt_itch_stamp stamp, const struct nt_itch_order *order, char side,
			   const char *stock, uint64_t match)
{
	out = put_start(out, 'P', stamp);
	out = nt_put_64(out, order->reference);
	out = put_8(out, side);
	out = nt_put_32(out, order->shares);
	out = put_text(out, stock, NT_ITCH_STOCK_BYTES);
	out = nt_put_32(out, order->price);
	nt_put_64(out, match);
	return NT_ITCH_TRADE;
}
