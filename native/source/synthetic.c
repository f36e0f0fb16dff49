/* SPDX-License-Identifier: Apache-2.0 */
#include "synthetic.h"

#include "../atomic.h"
#include "../clock.h"
#include "frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NT_NUMBER_BYTES 8u
#define NT_SOURCE_PORT 40000u
#define NT_TTL 16u
#define NT_FILLINGS 256u
#define NT_LINE_BYTES 64u

struct nt_synthetic {
	struct nt_source source;
	uint32_t frame_bytes;
	uint32_t payload_bytes;
	uint32_t flow_id;
	uint32_t frame_stride;
	uint64_t count;    /* 0: endless */
	uint64_t rate_pps; /* 0: as fast as it goes */
	uint64_t made;     /* read by the helper thread */
	int64_t began_ns;  /* CLOCK_MONOTONIC, with the first poll; 0: not yet */
	/* What follows a number repeats itself every 256 packets, so that many frames are made once; a batch has no more of them. */
	uint32_t sums[NT_FILLINGS]; /* one's complement sum of all that the UDP checksum covers but the number */
	uint8_t *frames;            /* NT_FILLINGS of `frame_stride` bytes */
};

_Static_assert(NT_BATCH_PACKETS <= NT_FILLINGS, "no frame stands twice in a batch");

/* Packets that are due by now. No multiplication that overflows within centuries. */
static uint64_t nt_synthetic_due(struct nt_synthetic *self)
{
	uint64_t elapsed_ns;

	if (!self->rate_pps)
		return UINT64_MAX;
	if (!self->began_ns)
		self->began_ns = nt_clock_ns(CLOCK_MONOTONIC);
	elapsed_ns = (uint64_t)(nt_clock_ns(CLOCK_MONOTONIC) - self->began_ns);
	return elapsed_ns / 1000000000 * self->rate_pps + elapsed_ns % 1000000000 * self->rate_pps / 1000000000;
}

/* All but number and UDP checksum stands there already. */
static uint8_t *nt_synthetic_frame(struct nt_synthetic *self, uint64_t number)
{
	uint32_t filling = (uint32_t)(number % NT_FILLINGS);
	uint8_t *frame = self->frames + (size_t)filling * self->frame_stride;
	uint64_t number_be = __builtin_bswap64(number);
	uint16_t checksum;

	memcpy(frame + NT_FRAME_HEADER_IPV4, &number_be, sizeof(number_be));
	checksum = nt_checksum_finish(nt_checksum_add(self->sums[filling], frame + NT_FRAME_HEADER_IPV4, sizeof(number_be)));
	nt_put_be16(frame + NT_FRAME_HEADER_IPV4 - 2, checksum ? checksum : 0xFFFF);
	return frame;
}

static int nt_synthetic_poll(struct nt_source *source, struct nt_batch *batch)
{
	struct nt_synthetic *self = (struct nt_synthetic *)source;
	uint64_t made = self->made;
	uint64_t due = nt_synthetic_due(self) - made;
	int64_t stamp_ns;

	if (self->count && made == self->count)
		return -ENODATA;
	if (self->count && due > self->count - made)
		due = self->count - made;
	batch->count = due < batch->limit ? (uint32_t)due : batch->limit;
	stamp_ns = nt_clock_ns(CLOCK_TAI);
	for (uint32_t at = 0; at < batch->count; at++) {
		made++;
		batch->packets[at] = (struct nt_packet){
			.data = nt_synthetic_frame(self, made),
			.capture_length = self->frame_bytes,
			.wire_length = self->frame_bytes,
			.stamp_ns = stamp_ns,
			.flow_seq = made,
			.flow_id = self->flow_id,
			.ts_kind = NT_TS_USER,
			.stamp_clock = NT_CLOCK_TAI,
		};
	}
	nt_store_relaxed(&self->made, made);
	return (int)batch->count;
}

static void nt_synthetic_release(struct nt_source *source, const struct nt_batch *batch)
{
	(void)source;
	(void)batch;
}

static void nt_synthetic_read_stats(struct nt_source *source, struct nt_source_stats *stats)
{
	struct nt_synthetic *self = (struct nt_synthetic *)source;

	stats->offered = nt_load_relaxed(&self->made);
}

static void nt_synthetic_close(struct nt_source *source)
{
	free(((struct nt_synthetic *)source)->frames);
	free(source);
}

static const struct nt_source_ops nt_synthetic_ops = {
	.poll = nt_synthetic_poll,
	.release = nt_synthetic_release,
	.read_stats = nt_synthetic_read_stats,
	.close = nt_synthetic_close,
};

/* Everything that is the same in each packet, once. */
static void nt_synthetic_prepare(struct nt_synthetic *self, const struct nt_flow *flow)
{
	struct nt_frame_facts facts = {
		.family = NT_FAMILY_IPV4,
		.source_port = NT_SOURCE_PORT,
		.destination_port = flow ? flow->port : 30001,
		.ttl = NT_TTL,
		.payload_bytes = self->payload_bytes,
		.source = {192, 0, 2, 1},
		.destination = {239, 255, 0, 1},
	};
	static const uint8_t any[4];

	if (flow) {
		memcpy(facts.destination, flow->group, 4);
		if (memcmp(flow->source, any, 4) != 0)
			memcpy(facts.source, flow->source, 4);
	}
	for (uint32_t number = 0; number < NT_FILLINGS; number++) {
		uint8_t *frame = self->frames + (size_t)number * self->frame_stride;
		uint8_t *payload = frame + NT_FRAME_HEADER_IPV4;

		nt_frame_write_header(frame, &facts);
		frame[6] = 0x02; /* a source MAC of our own: locally administered */
		for (uint32_t at = NT_NUMBER_BYTES; at < self->payload_bytes; at++)
			payload[at] = nt_synthetic_byte(number, at);
		self->sums[number] = nt_checksum_add(17 + 8 + self->payload_bytes, frame + 26, 8);
		self->sums[number] = nt_checksum_add(self->sums[number], frame + 34, 8);
		self->sums[number] =
			nt_checksum_add(self->sums[number], payload + NT_NUMBER_BYTES, self->payload_bytes - NT_NUMBER_BYTES);
	}
}

int nt_synthetic_open(struct nt_source **source, const struct nt_plan_source *plan, const struct nt_flow *flow, uint32_t flow_id,
		      struct nt_fault *fault)
{
	uint32_t frame_bytes = plan->synthetic_frame_bytes;
	struct nt_synthetic *self;

	if (frame_bytes < NT_SYNTHETIC_FRAME_MIN || frame_bytes > NT_SYNTHETIC_FRAME_MAX)
		return nt_fault_set(fault, -EINVAL, "%s: synthetic frame_bytes: expected %u to %u, found %u", plan->interface,
				    NT_SYNTHETIC_FRAME_MIN, NT_SYNTHETIC_FRAME_MAX, frame_bytes);
	if (plan->synthetic_rate_pps > 1000000000)
		return nt_fault_set(fault, -EINVAL, "%s: synthetic rate: expected at most 1000000000 pps, found %llu",
				    plan->interface, (unsigned long long)plan->synthetic_rate_pps);
	if (flow && (flow->family != NT_FAMILY_IPV4 || flow->vlan != NT_VLAN_NONE))
		return nt_fault_set(fault, -EINVAL, "%s: a synthetic source makes untagged IPv4 frames only: choose another flow",
				    plan->interface);
	self = calloc(1, sizeof(*self));
	if (self) {
		self->frame_stride = (frame_bytes + NT_LINE_BYTES - 1) / NT_LINE_BYTES * NT_LINE_BYTES;
		self->frames = aligned_alloc(NT_LINE_BYTES, (size_t)NT_FILLINGS * self->frame_stride);
	}
	if (!self || !self->frames) {
		free(self);
		return nt_fault_set(fault, -ENOMEM, "%s: no memory for the synthetic source", plan->interface);
	}
	self->frame_bytes = frame_bytes;
	self->payload_bytes = frame_bytes - NT_FRAME_HEADER_IPV4;
	self->flow_id = flow_id;
	self->count = plan->synthetic_count;
	self->rate_pps = plan->synthetic_rate_pps;
	nt_synthetic_prepare(self, flow);
	self->source.ops = &nt_synthetic_ops;
	self->source.kind = NT_SOURCE_SYNTHETIC;
	self->source.stamp_kind = NT_STAMPED_BY(NT_TS_USER);
	self->source.stamp_domain = NT_CLOCK_TAI;
	snprintf(self->source.interface, sizeof(self->source.interface), "%s", plan->interface);
	snprintf(self->source.name, sizeof(self->source.name), "synthetic:%s:0", plan->interface);
	*source = &self->source;
	return 0;
}
