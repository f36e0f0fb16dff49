/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated exchange as bytes: messages, packets, due times. Nothing is sent here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "simulate/schedule.h"
#include "simulate/simulate.h"

static struct nt_exchange_options options_of(uint64_t seed, uint64_t rate_pps, uint64_t packets)
{
	return (struct nt_exchange_options){.seed = seed,
					    .rate_mhz = rate_pps * 1000,
					    .packets = packets,
					    .symbols = 20,
					    .burst_percent = 100,
					    .end_of_session = 1,
					    .session = "TESTSESS01"};
}

static struct nt_exchange *exchange_of(struct nt_exchange_options options)
{
	struct nt_exchange *exchange = NULL;
	struct nt_fault fault = {0};

	assert_int_equal(nt_exchange_create(&exchange, &options, &fault), 0);
	return exchange;
}

static uint64_t big_endian(const uint8_t *bytes, unsigned int width)
{
	uint64_t value = 0;

	while (width--)
		value = value << 8 | *bytes++;
	return value;
}

/* 0 for a type that is none of ours. */
static unsigned int itch_length(uint8_t type)
{
	static const char types[] = "SRAFECXDUP";
	static const unsigned int lengths[] = {12, 39, 36, 40, 31, 36, 23, 19, 35, 44};
	const char *found = type ? strchr(types, type) : NULL;

	return found ? lengths[found - types] : 0;
}

static uint32_t crc_of(struct nt_exchange_options options, uint64_t datagrams)
{
	struct nt_exchange *exchange = exchange_of(options);
	uint8_t payload[NT_MOLD_PAYLOAD_BYTES_MAX];
	struct nt_exchange_packet packet;
	uint32_t crc = 0;

	while (datagrams-- && nt_exchange_next_packet(exchange, payload, &packet))
		crc = nt_crc32c(crc, payload, packet.bytes);
	nt_exchange_destroy(exchange);
	return crc;
}

static void crc32c_gives_the_check_value_of_the_standard(void **state)
{
	(void)state;
	assert_int_equal(nt_crc32c(0, "123456789", 9), 0xE3069283);
	assert_int_equal(nt_crc32c(nt_crc32c(0, "1234", 4), "56789", 5), 0xE3069283);
}

static void crc32c_is_the_same_with_and_without_the_instruction(void **state)
{
	uint8_t bytes[300];

	(void)state;
	for (unsigned int place = 0; place < sizeof(bytes); place++)
		bytes[place] = (uint8_t)(place * 37);
	for (unsigned int length = 0; length < sizeof(bytes); length++)
		assert_int_equal(nt_crc32c(7, bytes, length), nt_crc32c_portable(7, bytes, length));
}

static void an_add_order_has_the_bytes_of_the_drawing(void **state)
{
	static const uint8_t drawn[36] = {0x41, 0x00, 0x03, 0x00, 0x01, 0x1F, 0x1A, 0xCE, 0xD9, 0xF0, 0x00, 0,
					  0,    0,    0,    0,    0,    0,    0xA7, 0x42, 0,    0,    0,    0x64,
					  0x5A, 0x41, 0x41, 0x44, 0x20, 0x20, 0x20, 0x20, 0x00, 0x07, 0xA1, 0x20};
	struct nt_itch_stamp stamp = {.since_midnight_ns = 34200ull * 1000000000, .locate = 3, .tracking = 1};
	struct nt_itch_order order = {.reference = 167, .shares = 100, .price = 500000};
	uint8_t message[NT_ITCH_MESSAGE_BYTES_MAX];

	(void)state;
	assert_int_equal(nt_itch_write_add(message, stamp, &order, 'B', "ZAAD    ", NULL), sizeof(drawn));
	assert_memory_equal(message, drawn, sizeof(drawn));
}

static void every_message_has_the_length_of_its_type_and_fills_its_packet(void **state)
{
	struct nt_exchange *exchange = exchange_of(options_of(5, 100000, 20000));
	uint8_t payload[NT_MOLD_PAYLOAD_BYTES_MAX];
	struct nt_exchange_packet packet;
	uint64_t seen[256] = {0};
	uint64_t next = 1, stamp = 0;

	(void)state;
	while (nt_exchange_next_packet(exchange, payload, &packet) && packet.kind == NT_EXCHANGE_DATA) {
		uint32_t at = NT_MOLD_HEADER_BYTES;

		assert_memory_equal(payload, "TESTSESS01", 10);
		assert_int_equal(big_endian(payload + 10, 8), next);
		assert_int_equal(packet.sequence, next);
		assert_int_equal(big_endian(payload + 18, 2), packet.messages);
		for (uint32_t message = 0; message < packet.messages; message++) {
			uint64_t length = big_endian(payload + at, 2);

			assert_int_equal(length, itch_length(payload[at + 2]));
			assert_true(big_endian(payload + at + 7, 6) >= stamp);
			stamp = big_endian(payload + at + 7, 6);
			seen[payload[at + 2]]++;
			at += 2 + (uint32_t)length;
		}
		assert_int_equal(at, packet.bytes);
		assert_true(packet.bytes <= NT_MOLD_PAYLOAD_BYTES_MAX);
		next += packet.messages;
	}
	assert_int_equal(packet.kind, NT_EXCHANGE_END);
	for (const char *type = "SRAFECXDUP"; *type; type++)
		assert_true(seen[(uint8_t)*type] > 0);
	assert_int_equal(seen['R'], 20);
	nt_exchange_destroy(exchange);
}

static void the_same_seed_gives_the_same_bytes_and_another_gives_others(void **state)
{
	struct nt_exchange_options slower = options_of(1, 1000, 5000);
	struct nt_exchange_options burst = options_of(1, 10000, 5000);

	(void)state;
	burst.burst_percent = 400;
	assert_int_equal(crc_of(options_of(1, 10000, 5000), 6000), crc_of(options_of(1, 10000, 5000), 6000));
	assert_int_not_equal(crc_of(options_of(1, 10000, 5000), 6000), crc_of(options_of(2, 10000, 5000), 6000));
	assert_int_not_equal(crc_of(options_of(1, 10000, 5000), 6000), crc_of(slower, 6000));
	assert_int_not_equal(crc_of(options_of(1, 10000, 5000), 6000), crc_of(burst, 6000));
}

/* Golden: a change of the stream must be a decision, since old logs are read with new code. */
static void the_bytes_of_seed_1_are_those_of_format_1(void **state)
{
	(void)state;
	assert_int_equal(crc_of(options_of(1, 10000, 5000), 6000), 0xB0970B07);
}

static void heartbeats_fill_a_silence_of_more_than_a_second_and_carry_the_next_sequence(void **state)
{
	struct nt_exchange_options options = options_of(1, 1, 2);
	struct nt_exchange *exchange;
	uint8_t payload[NT_MOLD_PAYLOAD_BYTES_MAX];
	struct nt_exchange_packet packet;
	uint64_t sequence = 0;

	(void)state;
	options.rate_mhz = 400; /* one packet in 2.5 s */
	exchange = exchange_of(options);
	static const struct {
		uint32_t kind;
		uint64_t due_ms;
	} expected[] = {{0, 0}, {1, 1000}, {1, 2000}, {0, 2500}, {1, 3500}, {1, 4500}, {2, 5000}};

	for (unsigned int index = 0; index < 7; index++) {
		assert_int_equal(nt_exchange_next_packet(exchange, payload, &packet), 1);
		assert_int_equal(packet.number, index + 1);
		assert_int_equal(packet.kind, expected[index].kind);
		assert_int_equal(packet.due_ns, expected[index].due_ms * 1000000);
		if (packet.kind == NT_EXCHANGE_DATA) {
			sequence = packet.sequence + packet.messages;
			continue;
		}
		assert_int_equal(packet.bytes, 20);
		assert_int_equal(big_endian(payload + 10, 8), sequence);
		assert_int_equal(big_endian(payload + 18, 2), packet.kind == NT_EXCHANGE_END ? 0xFFFF : 0);
	}
	assert_int_equal(nt_exchange_next_packet(exchange, payload, &packet), 0);
	nt_exchange_destroy(exchange);
}

static void an_even_schedule_has_no_heartbeat_at_one_packet_a_second(void **state)
{
	struct nt_exchange *exchange = exchange_of(options_of(1, 1, 5));
	uint8_t payload[NT_MOLD_PAYLOAD_BYTES_MAX];
	struct nt_exchange_packet packet;

	(void)state;
	while (nt_exchange_next_packet(exchange, payload, &packet))
		assert_int_not_equal(packet.kind, NT_EXCHANGE_HEARTBEAT);
	nt_exchange_destroy(exchange);
}

static void bursts_keep_the_average_and_never_go_back(void **state)
{
	static const uint32_t percents[] = {100, 150, 400, 100000};

	(void)state;
	for (unsigned int index = 0; index < 4; index++) {
		struct nt_schedule schedule;
		uint64_t last = 0, close_ones = 0;

		nt_schedule_start(&schedule, 9, 50000ull * 1000, percents[index]);
		for (uint64_t packet = 0; packet < 100000; packet++) {
			uint64_t due = nt_schedule_next_ns(&schedule);

			assert_true(due >= last);
			close_ones += due - last < 19000;
			last = due;
		}
		assert_in_range(last, 1950000000ull, 2050000000ull); /* 2 s, but for the last cycle */
		assert_true(percents[index] == 100 ? close_ones == 1 /* the first */ : close_ones > 90000);
	}
}

static void an_end_never_comes_before_the_last_packet_of_a_cut_burst(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct nt_exchange_options options = options_of(seed, 10, 5);
		struct nt_exchange *exchange;
		uint8_t payload[NT_MOLD_PAYLOAD_BYTES_MAX];
		struct nt_exchange_packet packet;
		uint64_t last = 0, made = 0;

		options.burst_percent = 1000;
		exchange = exchange_of(options);
		for (; made < 100 && nt_exchange_next_packet(exchange, payload, &packet); made++) {
			assert_true(packet.due_ns >= last && packet.due_ns - last <= 1000000000);
			last = packet.due_ns;
		}
		assert_in_range(made, 6, 12);
		nt_exchange_destroy(exchange);
	}
}

static void filling_many_gives_what_single_packets_give(void **state)
{
	struct nt_exchange *one = exchange_of(options_of(3, 1000, 500));
	struct nt_exchange *many = exchange_of(options_of(3, 1000, 500));
	uint64_t capacity = 40 * NT_MOLD_PAYLOAD_BYTES_MAX;
	uint8_t *payloads = malloc(capacity);
	struct nt_exchange_packet packets[100], packet;
	uint8_t payload[NT_MOLD_PAYLOAD_BYTES_MAX];
	int32_t ends[100];
	uint32_t made, total = 0;

	(void)state;
	while ((made = nt_exchange_fill(many, payloads, capacity, packets, ends, 100)) > 0) {
		int32_t begin = 0;

		for (uint32_t index = 0; index < made; index++) {
			assert_int_equal(nt_exchange_next_packet(one, payload, &packet), 1);
			assert_memory_equal(&packet, &packets[index], sizeof(packet));
			assert_int_equal(ends[index] - begin, packet.bytes);
			assert_memory_equal(payload, payloads + begin, packet.bytes);
			begin = ends[index];
		}
		total += made;
	}
	assert_int_equal(total, 501);
	assert_int_equal(nt_exchange_fill(many, payloads, NT_MOLD_PAYLOAD_BYTES_MAX - 1, packets, ends, 100), 0);
	nt_exchange_destroy(one);
	nt_exchange_destroy(many);
	free(payloads);
}

static void a_restart_begins_with_sequence_1_and_a_new_session_with_a_name_of_its_own(void **state)
{
	static const char *const sessions[] = {"TESTSESS01", "TESTSESS01", "TESTSESR01", "TESTSESR01", "TESTSESR02"};
	struct nt_exchange_options options = options_of(1, 1000, 12);
	struct nt_exchange *exchange;
	uint8_t payload[NT_MOLD_PAYLOAD_BYTES_MAX];
	struct nt_exchange_packet packet;
	uint64_t next = 1;
	uint32_t restarts = 0;

	(void)state;
	options.restart_count = 4;
	options.restarts[0] = (struct nt_exchange_restart){.packet = 3};
	options.restarts[1] = (struct nt_exchange_restart){.packet = 4, .new_session = 1};
	options.restarts[2] = (struct nt_exchange_restart){.packet = 7};
	options.restarts[3] = (struct nt_exchange_restart){.packet = 9, .new_session = 1};
	exchange = exchange_of(options);
	while (nt_exchange_next_packet(exchange, payload, &packet)) {
		if (restarts < 4 && packet.number == options.restarts[restarts].packet) {
			next = 1;
			restarts++;
		}
		assert_int_equal(packet.sequence, next);
		assert_int_equal(packet.restarts, restarts);
		assert_int_equal(big_endian(payload + 10, 8), next);
		assert_memory_equal(payload, sessions[restarts], 10);
		next += packet.messages;
	}
	assert_int_equal(restarts, 4);
	nt_exchange_destroy(exchange);
}

static void options_out_of_range_are_refused_by_name(void **state)
{
	struct nt_exchange_options wrong[7];
	static const char *const names[7] = {"rate", "rate", "symbols", "burst", "session", "resets", "resets"};

	(void)state;
	for (unsigned int index = 0; index < 7; index++)
		wrong[index] = options_of(1, 1000, 1);
	wrong[0].rate_mhz = 0;
	wrong[1].rate_mhz = 10000000001ull;
	wrong[2].symbols = NT_MARKET_SYMBOLS_MAX + 1;
	wrong[3].burst_percent = 99;
	wrong[4].session[9] = '\0';
	wrong[5].restart_count = NT_EXCHANGE_RESTARTS_MAX + 1;
	wrong[6].restart_count = 1;
	wrong[6].restarts[0].packet = 1;
	for (unsigned int index = 0; index < 7; index++) {
		struct nt_exchange *exchange = NULL;
		struct nt_fault fault = {0};

		assert_true(nt_exchange_create(&exchange, &wrong[index], &fault) < 0);
		assert_null(exchange);
		assert_memory_equal(fault.text, names[index], strlen(names[index]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c_gives_the_check_value_of_the_standard),
		cmocka_unit_test(crc32c_is_the_same_with_and_without_the_instruction),
		cmocka_unit_test(an_add_order_has_the_bytes_of_the_drawing),
		cmocka_unit_test(every_message_has_the_length_of_its_type_and_fills_its_packet),
		cmocka_unit_test(the_same_seed_gives_the_same_bytes_and_another_gives_others),
		cmocka_unit_test(the_bytes_of_seed_1_are_those_of_format_1),
		cmocka_unit_test(heartbeats_fill_a_silence_of_more_than_a_second_and_carry_the_next_sequence),
		cmocka_unit_test(an_even_schedule_has_no_heartbeat_at_one_packet_a_second),
		cmocka_unit_test(bursts_keep_the_average_and_never_go_back),
		cmocka_unit_test(an_end_never_comes_before_the_last_packet_of_a_cut_burst),
		cmocka_unit_test(filling_many_gives_what_single_packets_give),
		cmocka_unit_test(a_restart_begins_with_sequence_1_and_a_new_session_with_a_name_of_its_own),
		cmocka_unit_test(options_out_of_range_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
