/* SPDX-License-Identifier: Apache-2.0 */
#include "mold.h"

#include "market.h"
#include "random.h"
#include "schedule.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define RATE_MHZ_MAX 10000000000ull /* ten million packets a second */
#define BURST_PERCENT_MAX 100000u
#define HEARTBEAT_NS 1000000000ull
#define MARKET_OPEN_NS (34200ull * 1000000000ull) /* 09:30 */
#define DAY_NS (86400ull * 1000000000ull)
#define GATHER_NS 20000ull /* messages of one packet happened within this time before it */

struct nt_exchange {
	struct nt_exchange_options options;
	struct nt_market *market;
	struct nt_schedule schedule;
	struct nt_random sizes;
	uint64_t number;      /* datagrams made */
	uint64_t data;        /* data packets made */
	uint64_t sequence;    /* next message */
	uint64_t last_due_ns; /* of the last datagram */
	uint64_t next_due_ns; /* of the next data packet, or of the end */
	uint32_t restarts;
	uint32_t sessions; /* after the first */
	bool ended;
};

static int check_restarts(const struct nt_exchange_options *options, struct nt_fault *fault)
{
	uint64_t before = 1;

	if (options->restart_count > NT_EXCHANGE_RESTARTS_MAX)
		return nt_fault_set(fault, -EINVAL, "resets and new sessions: expected at most %u, found %llu",
				    NT_EXCHANGE_RESTARTS_MAX, (unsigned long long)options->restart_count);
	for (uint64_t index = 0; index < options->restart_count; index++) {
		if (options->restarts[index].packet <= before)
			return nt_fault_set(
				fault, -EINVAL,
				"resets and new sessions: expected packets from 2 on, ascending and each once, found %llu",
				(unsigned long long)options->restarts[index].packet);
		before = options->restarts[index].packet;
	}
	return 0;
}

static int check_options(const struct nt_exchange_options *options, struct nt_fault *fault)
{
	if (options->rate_mhz == 0 || options->rate_mhz > RATE_MHZ_MAX)
		return nt_fault_set(fault, -EINVAL, "rate: expected 0.001 to 10,000,000 packets a second, found %.3f",
				    (double)options->rate_mhz / 1000);
	if (options->symbols == 0 || options->symbols > NT_MARKET_SYMBOLS_MAX)
		return nt_fault_set(fault, -EINVAL, "symbols: expected 1 to %u, found %u", NT_MARKET_SYMBOLS_MAX, options->symbols);
	if (options->burst_percent < 100 || options->burst_percent > BURST_PERCENT_MAX)
		return nt_fault_set(fault, -EINVAL, "burst: expected a factor of 1 (even) to %u, found %.2f",
				    BURST_PERCENT_MAX / 100, options->burst_percent / 100.0);
	for (unsigned int place = 0; place < NT_MOLD_SESSION_BYTES; place++)
		if (options->session[place] < ' ' || options->session[place] > '~')
			return nt_fault_set(fault, -EINVAL,
					    "session: expected %u printable ASCII characters, found byte 0x%02x at %u",
					    NT_MOLD_SESSION_BYTES, (uint8_t)options->session[place], place);
	return check_restarts(options, fault);
}

/* The data packets' due times, then the end's: one even interval after the last, or with it when that came late in its cycle. */
static void plan_next(struct nt_exchange *exchange)
{
	uint64_t end_ns;

	if (exchange->options.packets == 0 || exchange->data < exchange->options.packets) {
		exchange->next_due_ns = nt_schedule_next_ns(&exchange->schedule);
		return;
	}
	end_ns = nt_schedule_even_ns(&exchange->schedule, exchange->data);
	exchange->next_due_ns = end_ns > exchange->last_due_ns ? end_ns : exchange->last_due_ns;
}

int nt_exchange_create(struct nt_exchange **exchange, const struct nt_exchange_options *options, struct nt_fault *fault)
{
	struct nt_exchange *made;
	int error = check_options(options, fault);

	if (error)
		return error;
	made = calloc(1, sizeof(*made));
	if (!made || nt_market_create(&made->market, options->seed, options->symbols)) {
		free(made);
		return nt_fault_set(fault, -ENOMEM, "simulated market of %u symbols: out of memory", options->symbols);
	}
	made->options = *options;
	made->sizes = nt_random_stream(options->seed, 2);
	made->sequence = 1;
	nt_schedule_start(&made->schedule, options->seed, options->rate_mhz, options->burst_percent);
	plan_next(made);
	*exchange = made;
	return 0;
}

void nt_exchange_destroy(struct nt_exchange *exchange)
{
	if (exchange)
		nt_market_destroy(exchange->market);
	free(exchange);
}

/* Mostly one or two messages, now and then a run, as when a large order sweeps the book. */
static uint32_t draw_message_count(struct nt_exchange *exchange)
{
	uint32_t count = 1;

	if (nt_random_below(&exchange->sizes, 100) < 2)
		return 8 + nt_random_below(&exchange->sizes, 40);
	while (nt_random_below(&exchange->sizes, 100) < 45)
		count++;
	return count;
}

static void put_header(const struct nt_exchange *exchange, uint8_t *payload, uint16_t count)
{
	memcpy(payload, exchange->options.session, NT_MOLD_SESSION_BYTES);
	nt_put_16(nt_put_64(payload + NT_MOLD_SESSION_BYTES, exchange->sequence), count);
}

static void data_packet(struct nt_exchange *exchange, uint8_t *payload, struct nt_exchange_packet *packet)
{
	uint32_t opening = nt_market_opening_left(exchange->market);
	uint32_t wanted = opening ? opening : draw_message_count(exchange);
	uint64_t since_last_ns = packet->due_ns - exchange->last_due_ns;
	uint64_t gather_ns = since_last_ns < GATHER_NS ? since_last_ns : GATHER_NS;
	uint64_t first_ns = MARKET_OPEN_NS + packet->due_ns - gather_ns;
	uint32_t bytes = NT_MOLD_HEADER_BYTES;
	uint32_t count = 0;

	while (count < wanted && bytes + 2 + NT_ITCH_MESSAGE_BYTES_MAX <= NT_MOLD_PAYLOAD_BYTES_MAX) {
		uint64_t stamp_ns = (first_ns + gather_ns * count / wanted) % DAY_NS;
		size_t length = nt_market_next_message(exchange->market, stamp_ns, payload + bytes + 2);

		nt_put_16(payload + bytes, (uint16_t)length);
		bytes += 2 + (uint32_t)length;
		count++;
	}
	put_header(exchange, payload, (uint16_t)count);
	packet->messages = count;
	packet->bytes = bytes;
	exchange->sequence += count;
	exchange->data++;
}

static void control_packet(struct nt_exchange *exchange, uint8_t *payload, struct nt_exchange_packet *packet)
{
	put_header(exchange, payload, packet->kind == NT_EXCHANGE_END ? NT_MOLD_END_OF_SESSION : 0);
	packet->messages = 0;
	packet->bytes = NT_MOLD_HEADER_BYTES;
	if (packet->kind == NT_EXCHANGE_END)
		exchange->ended = true;
}

static void name_session(struct nt_exchange *exchange, uint32_t sessions)
{
	char *session = exchange->options.session;
	unsigned int length = NT_MOLD_SESSION_BYTES;
	char suffix[4];

	while (length > 0 && session[length - 1] == ' ')
		length--;
	/* From the second on, the name ends with a suffix already. */
	if (sessions > 1)
		length -= 3;
	else if (length > NT_MOLD_SESSION_BYTES - 3)
		length = NT_MOLD_SESSION_BYTES - 3;
	snprintf(suffix, sizeof(suffix), "R%02u", sessions % 100);
	memcpy(session + length, suffix, 3);
}

static void restart_if_asked(struct nt_exchange *exchange)
{
	const struct nt_exchange_options *options = &exchange->options;

	if (exchange->restarts == options->restart_count || options->restarts[exchange->restarts].packet != exchange->number)
		return;
	exchange->sequence = 1;
	if (options->restarts[exchange->restarts++].new_session)
		name_session(exchange, ++exchange->sessions);
}

int nt_exchange_next_packet(struct nt_exchange *exchange, uint8_t *payload, struct nt_exchange_packet *packet)
{
	bool data_done = exchange->options.packets && exchange->data == exchange->options.packets;

	if (exchange->ended || (data_done && !exchange->options.end_of_session))
		return 0;
	exchange->number++;
	restart_if_asked(exchange);
	*packet = (struct nt_exchange_packet){
		.number = exchange->number,
		.due_ns = exchange->next_due_ns,
		.sequence = exchange->sequence,
		.restarts = exchange->restarts,
	};
	if (exchange->next_due_ns - exchange->last_due_ns > HEARTBEAT_NS) {
		packet->kind = NT_EXCHANGE_HEARTBEAT;
		packet->due_ns = exchange->last_due_ns + HEARTBEAT_NS;
	} else {
		packet->kind = data_done ? NT_EXCHANGE_END : NT_EXCHANGE_DATA;
	}
	if (packet->kind == NT_EXCHANGE_DATA)
		data_packet(exchange, payload, packet);
	else
		control_packet(exchange, payload, packet);
	exchange->last_due_ns = packet->due_ns;
	if (packet->kind == NT_EXCHANGE_DATA)
		plan_next(exchange);
	return 1;
}

uint32_t nt_exchange_fill(struct nt_exchange *exchange, uint8_t *payloads, uint64_t capacity_bytes,
			  struct nt_exchange_packet *packets, int32_t *ends, uint32_t most)
{
	uint64_t used = 0;
	uint32_t count = 0;

	if (capacity_bytes > INT32_MAX)
		capacity_bytes = INT32_MAX;
	while (count < most && capacity_bytes - used >= NT_MOLD_PAYLOAD_BYTES_MAX) {
		if (!nt_exchange_next_packet(exchange, payloads + used, &packets[count]))
			break;
		used += packets[count].bytes;
		ends[count++] = (int32_t)used;
	}
	return count;
}
