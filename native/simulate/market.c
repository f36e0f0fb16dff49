/* SPDX-License-Identifier: Apache-2.0 */
#include "market.h"

#include "random.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define TICK 100u        /* one cent */
#define PRICE_LOW 20000u /* mid prices stay between 2 and 2,000 dollars */
#define PRICE_HIGH 20000000u
#define SIDE_BUSY 16u     /* orders on a side that the mix drifts towards */
#define OPENING_EVENTS 3u /* start of messages, of system hours, of market hours */

struct side {
	uint32_t count;
	uint32_t reserved;
	struct nt_itch_order orders[NT_MARKET_SIDE_ORDERS];
};

struct symbol {
	char stock[NT_ITCH_STOCK_BYTES];
	uint32_t mid;
	uint32_t reserved;
	struct side sides[2]; /* bids, asks */
};

struct nt_market {
	struct nt_random random;
	uint64_t reference;
	uint64_t match;
	uint32_t opening;
	uint32_t symbol_count;
	uint16_t tracking;
	struct symbol symbols[];
};

/* What a message is about: drawn first, then acted on. */
struct turn {
	struct symbol *symbol;
	struct side *side;
	bool ask;
	struct nt_itch_stamp stamp;
};

static void symbol_name(char *stock, uint32_t index)
{
	memset(stock, ' ', NT_ITCH_STOCK_BYTES);
	stock[0] = 'Z'; /* as Nasdaq's own test symbols do */
	for (int place = 3; place >= 1; place--) {
		stock[place] = (char)('A' + index % 26);
		index /= 26;
	}
}

int nt_market_create(struct nt_market **market, uint64_t seed, uint32_t symbols)
{
	struct nt_market *made;

	if (symbols == 0 || symbols > NT_MARKET_SYMBOLS_MAX)
		return -EINVAL;
	made = calloc(1, sizeof(*made) + symbols * sizeof(made->symbols[0]));
	if (!made)
		return -ENOMEM;
	made->random = nt_random_stream(seed, 1);
	made->symbol_count = symbols;
	for (uint32_t index = 0; index < symbols; index++) {
		symbol_name(made->symbols[index].stock, index);
		made->symbols[index].mid = TICK * (500 + nt_random_below(&made->random, 30000));
	}
	*market = made;
	return 0;
}

void nt_market_destroy(struct nt_market *market)
{
	free(market);
}

uint32_t nt_market_opening_left(const struct nt_market *market)
{
	return market->symbol_count + OPENING_EVENTS - market->opening;
}

static size_t opening_message(struct nt_market *market, struct nt_itch_stamp stamp, uint8_t *out)
{
	uint32_t step = market->opening++;

	if (step == 0)
		return nt_itch_write_system_event(out, stamp, 'O');
	if (step > market->symbol_count)
		return nt_itch_write_system_event(out, stamp, step == market->symbol_count + 1 ? 'S' : 'Q');
	stamp.locate = (uint16_t)step;
	return nt_itch_write_stock_directory(out, stamp, market->symbols[step - 1].stock, 100);
}

static struct nt_itch_order *best_order(struct side *side, bool ask)
{
	struct nt_itch_order *best = side->orders;

	for (uint32_t index = 1; index < side->count; index++) {
		uint32_t price = side->orders[index].price;

		if (ask ? price < best->price : price > best->price)
			best = &side->orders[index];
	}
	return best;
}

static uint32_t draw_shares(struct nt_random *random)
{
	uint32_t kind = nt_random_below(random, 100);

	if (kind < 60)
		return 100;
	if (kind < 85)
		return 100 * (2 + nt_random_below(random, 9));
	if (kind < 99)
		return 1 + nt_random_below(random, 99);
	return 1000 * (1 + nt_random_below(random, 20));
}

/* Near the mid price mostly, behind the best price of the other side always. */
static uint32_t draw_price(struct nt_market *market, struct turn *turn)
{
	struct side *other = &turn->symbol->sides[!turn->ask];
	uint32_t depth = 1 + nt_random_below(&market->random, 1 + nt_random_below(&market->random, 64));
	uint32_t price = turn->ask ? turn->symbol->mid + depth * TICK : turn->symbol->mid - depth * TICK;

	if (other->count) {
		uint32_t limit = best_order(other, !turn->ask)->price;

		if (turn->ask && price <= limit)
			price = limit + TICK;
		if (!turn->ask && price >= limit)
			price = limit - TICK;
	}
	return price;
}

static struct nt_itch_order draw_order(struct nt_market *market, struct turn *turn)
{
	market->reference += 1 + nt_random_below(&market->random, 4);
	return (struct nt_itch_order){
		.reference = market->reference,
		.shares = draw_shares(&market->random),
		.price = draw_price(market, turn),
	};
}

static void walk_mid(struct nt_market *market, struct symbol *symbol)
{
	uint32_t step = nt_random_below(&market->random, 3);

	if (step == 0 && symbol->mid > PRICE_LOW)
		symbol->mid -= TICK;
	if (step == 2 && symbol->mid < PRICE_HIGH)
		symbol->mid += TICK;
}

static struct nt_itch_order *draw_live(struct nt_market *market, struct side *side)
{
	return &side->orders[nt_random_below(&market->random, side->count)];
}

static void remove_order(struct side *side, struct nt_itch_order *order)
{
	*order = side->orders[--side->count];
}

static size_t add_message(struct nt_market *market, struct turn *turn, uint8_t *out)
{
	static const char makers[4][5] = {"ZMKA", "ZMKB", "ZMKC", "ZMKD"};
	struct nt_itch_order order = draw_order(market, turn);
	bool attributed = nt_random_below(&market->random, 100) < 6;
	const char *maker = attributed ? makers[nt_random_below(&market->random, 4)] : NULL;

	turn->side->orders[turn->side->count++] = order;
	return nt_itch_write_add(out, turn->stamp, &order, turn->ask ? 'S' : 'B', turn->symbol->stock, maker);
}

static size_t execute_message(struct nt_market *market, struct turn *turn, uint8_t *out)
{
	struct nt_itch_order *best = best_order(turn->side, turn->ask);
	struct nt_itch_order order = *best;
	uint32_t shares = order.shares;

	if (shares > 1 && nt_random_below(&market->random, 100) < 40)
		shares = 1 + nt_random_below(&market->random, shares - 1);
	best->shares -= shares;
	if (best->shares == 0)
		remove_order(turn->side, best);
	market->match++;
	walk_mid(market, turn->symbol);
	if (nt_random_below(&market->random, 100) < 95)
		return nt_itch_write_executed(out, turn->stamp, order.reference, shares, market->match);
	return nt_itch_write_executed_at_price(out, turn->stamp, order.reference, shares, market->match,
					       nt_random_below(&market->random, 10) ? 'Y' : 'N',
					       turn->ask ? order.price - TICK : order.price + TICK);
}

static size_t delete_message(struct nt_market *market, struct turn *turn, uint8_t *out)
{
	struct nt_itch_order *order = draw_live(market, turn->side);
	uint64_t reference = order->reference;

	remove_order(turn->side, order);
	return nt_itch_write_delete(out, turn->stamp, reference);
}

static size_t cancel_message(struct nt_market *market, struct turn *turn, uint8_t *out)
{
	struct nt_itch_order *order = draw_live(market, turn->side);
	uint32_t shares;

	if (order->shares == 1)
		return delete_message(market, turn, out);
	shares = 1 + nt_random_below(&market->random, order->shares - 1);
	order->shares -= shares;
	return nt_itch_write_cancel(out, turn->stamp, order->reference, shares);
}

static size_t replace_message(struct nt_market *market, struct turn *turn, uint8_t *out)
{
	struct nt_itch_order *order = draw_live(market, turn->side);
	uint64_t replaced = order->reference;

	*order = draw_order(market, turn);
	return nt_itch_write_replace(out, turn->stamp, replaced, order);
}

static size_t trade_message(struct nt_market *market, struct turn *turn, uint8_t *out)
{
	struct nt_itch_order hidden = {.reference = 0, .shares = draw_shares(&market->random), .price = turn->symbol->mid};

	market->match++;
	walk_mid(market, turn->symbol);
	return nt_itch_write_trade(out, turn->stamp, &hidden, 'B', turn->symbol->stock, market->match);
}

/* Out of 1,000: adds 312 to 568 by how full the side is, the rest in proportions seen on an equities feed. */
static size_t draw_message(struct nt_market *market, struct turn *turn, uint8_t *out)
{
	uint32_t count = turn->side->count;
	uint32_t adds = 440 + 8 * SIDE_BUSY - 8 * count;
	uint32_t kind = nt_random_below(&market->random, 1000);

	if (count == 0 || (kind < adds && count < NT_MARKET_SIDE_ORDERS))
		return add_message(market, turn, out);
	kind = nt_random_below(&market->random, 560);
	if (kind < 380)
		return delete_message(market, turn, out);
	if (kind < 470)
		return replace_message(market, turn, out);
	if (kind < 530)
		return execute_message(market, turn, out);
	if (kind < 545)
		return cancel_message(market, turn, out);
	return trade_message(market, turn, out);
}

size_t nt_market_next_message(struct nt_market *market, uint64_t since_midnight_ns, uint8_t *out)
{
	struct turn turn = {.stamp = {.since_midnight_ns = since_midnight_ns, .tracking = market->tracking++}};
	uint32_t index;

	if (nt_market_opening_left(market))
		return opening_message(market, turn.stamp, out);
	/* The product of two uniform draws: few symbols trade most of the day. */
	index = nt_random_below(&market->random, 1 + nt_random_below(&market->random, market->symbol_count));
	turn.symbol = &market->symbols[index];
	turn.ask = nt_random_next(&market->random) >> 63;
	turn.side = &turn.symbol->sides[turn.ask];
	turn.stamp.locate = (uint16_t)(index + 1);
	return draw_message(market, &turn, out);
}
