/* SPDX-License-Identifier: Apache-2.0 */
/* A source that hands out the batches it was given, for tests of the loop: what is in them, and when they come, is the test's choice. */
#ifndef NT_TEST_SCRIPTED_SOURCE_H
#define NT_TEST_SCRIPTED_SOURCE_H

#include "source/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SCRIPT_BATCHES 16

struct scripted {
	struct nt_source source;
	struct nt_batch script[SCRIPT_BATCHES];
	uint32_t batches, next;
	uint32_t releases;
	uint64_t
		position; /* packets released, left out or not; a test that takes it back has the loop die before its last release */
	int at_end;       /* what poll says when the script is over: 0, -ENODATA, or an error */
	struct nt_source_stats raw; /* what read_stats says */
	uint8_t frame[200000];
};

static int scripted_poll(struct nt_source *source, struct nt_batch *batch)
{
	struct scripted *self = (struct scripted *)source;
	uint32_t limit = batch->limit; /* what is in a batch is the test's choice all the same */

	if (self->next == self->batches)
		return self->at_end;
	*batch = self->script[self->next++];
	batch->limit = limit;
	return (int)batch->count;
}

static void scripted_release(struct nt_source *source, const struct nt_batch *batch)
{
	struct scripted *self = (struct scripted *)source;

	self->releases++;
	self->position += batch->count + batch->unselected;
}

static uint64_t scripted_position(const struct nt_source *source)
{
	return ((const struct scripted *)source)->position;
}

static void scripted_read_stats(struct nt_source *source, struct nt_source_stats *stats)
{
	*stats = ((struct scripted *)source)->raw;
}

static void scripted_close(struct nt_source *source)
{
	(void)source;
}

static const struct nt_source_ops scripted_ops = {
	.poll = scripted_poll,
	.release = scripted_release,
	.read_stats = scripted_read_stats,
	.position = scripted_position,
	.close = scripted_close,
};

static inline void scripted_init(struct scripted *self, const char *name)
{
	memset(self, 0, sizeof(*self));
	memset(&self->raw, 0xFF, sizeof(self->raw));
	self->source.ops = &scripted_ops;
	self->source.kind = NT_SOURCE_AFXDP;
	self->at_end = -ENODATA;
	snprintf(self->source.name, sizeof(self->source.name), "%s", name);
	snprintf(self->source.interface, sizeof(self->source.interface), "test0");
	for (size_t at = 0; at < sizeof(self->frame); at++)
		self->frame[at] = (uint8_t)(at * 7);
}

/* A packet in the script's newest batch. */
static inline struct nt_packet *scripted_packet(struct scripted *self, uint32_t length, uint64_t flow_seq, int64_t stamp_ns)
{
	struct nt_batch *batch = &self->script[self->batches - 1];
	struct nt_packet *packet = &batch->packets[batch->count++];

	*packet = (struct nt_packet){
		.data = self->frame,
		.capture_length = length,
		.wire_length = length,
		.stamp_ns = stamp_ns,
		.flow_seq = flow_seq,
		.flow_id = 1,
		.ts_kind = NT_TS_XDP,
		.stamp_clock = NT_CLOCK_TAI,
	};
	return packet;
}

#endif
