/* SPDX-License-Identifier: Apache-2.0 */
/* nanotape-bench fill: a ring full of a simulated exchange's packets, which it leaves behind for a recorder to be measured with. */
#include "number.h"
#include "verbs.h"

#include "../clock.h"
#include "../ring/writer.h"
#include "../simulate/mold.h"
#include "../source/frame.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define NT_FILL_BATCH 64u
#define NT_FILL_PPS_MHZ UINT64_C(1000000000) /* one packet a microsecond */

static const struct nt_flow nt_fill_flow = {
	.id = 1,
	.family = NT_FAMILY_IPV4,
	.port = 31001,
	.vlan = NT_VLAN_NONE,
	.group = {239, 192, 0, 1},
	.interface = "memory",
	.feed = "simulated",
	.channel = "itch",
	.line = "A",
	.framing = "moldudp64",
	.role = "incremental",
};

struct nt_fill {
	struct nt_ring ring;
	struct nt_writer writer;
	struct nt_exchange *exchange;
	int64_t began_ns; /* UTC: the first packet's stamp */
	uint64_t flow_seq, frame_bytes;
	struct nt_exchange_packet packets[NT_FILL_BATCH];
	int32_t ends[NT_FILL_BATCH];
	uint32_t lengths[NT_FILL_BATCH];
	uint8_t payloads[(NT_FILL_BATCH + 1) * NT_MOLD_PAYLOAD_BYTES_MAX];
};

static uint32_t nt_fill_payload_bytes(const struct nt_fill *fill, uint32_t at)
{
	return (uint32_t)(fill->ends[at] - (at ? fill->ends[at - 1] : 0));
}

static void nt_fill_put(struct nt_fill *fill, uint32_t at)
{
	struct nt_record *record = nt_writer_next(&fill->writer, fill->lengths[at]);
	uint8_t *frame = (uint8_t *)(record + 1);
	struct nt_frame_facts facts = {
		.family = NT_FAMILY_IPV4,
		.source_port = 40000,
		.destination_port = nt_fill_flow.port,
		.ttl = 16,
		.payload_bytes = nt_fill_payload_bytes(fill, at),
		.source = {192, 0, 2, 1},
	};

	memcpy(facts.destination, nt_fill_flow.group, 4);
	record->flags = 0;
	record->source = 0;
	record->ts_kind = NT_TS_XDP;
	record->ts_ns = fill->began_ns + (int64_t)fill->packets[at].due_ns;
	record->flow_seq = ++fill->flow_seq;
	record->flow_id = nt_fill_flow.id;
	record->rx_delay_ns = (int32_t)(400 + fill->flow_seq * 37 % 211); /* as scattered as a real loop's */
	record->capture_length = record->wire_length = fill->lengths[at] - NT_RECORD_HEADER_BYTES;
	nt_frame_write_header(frame, &facts);
	memcpy(frame + NT_FRAME_HEADER_IPV4, fill->payloads + fill->ends[at] - facts.payload_bytes, facts.payload_bytes);
	fill->frame_bytes += record->capture_length;
}

/* All that the exchange makes; it ends after as many packets as were wanted. */
static int nt_fill_all(struct nt_fill *fill, struct nt_fault *fault)
{
	uint32_t made;

	while ((made = nt_exchange_fill(fill->exchange, fill->payloads, sizeof(fill->payloads), fill->packets, fill->ends,
					NT_FILL_BATCH))) {
		for (uint32_t at = 0; at < made; at++)
			fill->lengths[at] = NT_RECORD_HEADER_BYTES + NT_FRAME_HEADER_IPV4 + nt_fill_payload_bytes(fill, at);
		if (nt_writer_reserve(&fill->writer, fill->lengths, made) != made)
			return nt_fault_set(fault, -EMSGSIZE, "ring: expected room for %u packets in a batch; make it larger",
					    made);
		for (uint32_t at = 0; at < made; at++)
			nt_fill_put(fill, at);
		nt_writer_publish(&fill->writer);
		if (fill->writer.tail > fill->ring.capacity)
			return nt_fault_set(fault, -ENOSPC, "ring: %llu packets are more than its %llu bytes hold; make it larger",
					    (unsigned long long)fill->flow_seq, (unsigned long long)fill->ring.capacity);
	}
	return 0;
}

static int nt_fill_ring(struct nt_fill *fill, const struct nt_ring_options *options, uint64_t packets, struct nt_fault *fault)
{
	const struct nt_exchange_options exchange = {
		.seed = 1,
		.rate_mhz = NT_FILL_PPS_MHZ,
		.packets = packets,
		.symbols = 200,
		.burst_percent = 100,
		.session = "0000000001",
	};
	uint64_t next_seq;
	uint32_t flow_id, slot;
	int error = nt_exchange_create(&fill->exchange, &exchange, fault);

	if (error)
		return error;
	error = nt_ring_attach_writer(&fill->ring, options, 0, &next_seq, fault);
	if (!error) {
		nt_writer_init(&fill->writer, &fill->ring, next_seq);
		fill->began_ns = nt_clock_ns(CLOCK_REALTIME);
		error = nt_ring_flow_id(&fill->ring, &nt_fill_flow, &flow_id, fault);
		if (!error)
			error = nt_ring_source_slot(&fill->ring, "synthetic:memory:0", "memory", NT_SOURCE_SYNTHETIC, 0, &slot,
						    fault);
		if (!error)
			error = nt_fill_all(fill, fault);
		nt_ring_close(&fill->ring);
	}
	nt_exchange_destroy(fill->exchange);
	return error;
}

static bool nt_fill_parse(struct nt_ring_options *ring, uint64_t *packets, int count, char **words)
{
	static const struct option known[] = {
		{"shm", required_argument, NULL, 's'},
		{"hugepages", required_argument, NULL, 'h'},
		{"capacity", required_argument, NULL, 'c'},
		{"packets", required_argument, NULL, 'n'},
		{NULL, 0, NULL, 0},
	};
	bool good = true;
	int option;

	while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
		if (option == 's')
			good &= (size_t)snprintf(ring->shm_directory, sizeof(ring->shm_directory), "%s", optarg) <
				sizeof(ring->shm_directory);
		else if (option == 'h')
			good &= (size_t)snprintf(ring->hugepage_directory, sizeof(ring->hugepage_directory), "%s", optarg) <
				sizeof(ring->hugepage_directory);
		else if (option == 'c')
			good &= nt_bench_number(optarg, UINT64_C(1) << 40, &ring->capacity);
		else
			good &= option == 'n' && nt_bench_number(optarg, UINT32_MAX, packets);
	}
	return good && optind == count && ring->shm_directory[0] && *packets;
}

int nt_bench_fill(int count, char **words)
{
	static struct nt_fill fill;
	struct nt_ring_options ring = {.name = "filled", .capacity = 512u << 20, .group = UINT32_MAX};
	uint64_t packets = 1000000;
	struct nt_fault fault = {0};

	if (!nt_fill_parse(&ring, &packets, count, words)) {
		fprintf(stderr, "usage: nanotape-bench fill --shm DIR [--hugepages DIR] [--capacity BYTES] [--packets N]\n");
		return 2;
	}
	ring.hugepages = ring.hugepage_directory[0] ? NT_HUGEPAGES_PREFER : NT_HUGEPAGES_OFF;
	if (nt_fill_ring(&fill, &ring, packets, &fault)) {
		fprintf(stderr, "nanotape-bench: %s\n", fault.text);
		return 1;
	}
	printf("{\"ring\": \"%s\", \"packets\": %llu, \"frame_bytes\": %llu}\n", ring.name, (unsigned long long)fill.flow_seq,
	       (unsigned long long)fill.frame_bytes);
	return 0;
}
