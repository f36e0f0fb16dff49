/* SPDX-License-Identifier: Apache-2.0 */
#include "pcap_state.h"

#include "../atomic.h"
#include "../clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_BYTES ((size_t)1 << 20)
#define READS_MAX 1024 /* in one poll, so that a stop is seen even where all is left out */
#define HELD_MS 1
#define NS_PER_MS 1000000

/* The packet that was read ahead goes to the front: those before it are released. */
static void nt_pcap_rewind(struct nt_pcap_source *self)
{
	if (self->pending && self->arena_used) {
		memmove(self->arena, self->next.data, self->next.capture_length);
		self->next.data = self->arena;
	}
	self->arena_used = 0;
}

/* Makes the next packet that is wanted `pending`; false when there is none now. */
static bool nt_pcap_fetch(struct nt_pcap_source *self)
{
	for (uint32_t reads = 0; !self->pending && reads < READS_MAX; reads++) {
		if (self->ended || !nt_pcap_stream_is_ready(&self->stream) || !nt_pcap_read(self))
			return false;
		self->pending = self->number > self->skip;
		self->timed = false;
	}
	return self->pending;
}

static bool nt_pcap_is_due(struct nt_pcap_source *self)
{
	int64_t now_ns;

	if (!self->pace.ppm)
		return true;
	now_ns = nt_clock_ns(CLOCK_MONOTONIC);
	if (!self->timed)
		self->due_ns = nt_pcap_pace_due(&self->pace, &self->next, now_ns);
	self->timed = true;
	return self->due_ns <= now_ns;
}

/* Hands the pending packet out, or leaves it out; false when the ring has no room for it. */
static bool nt_pcap_hand_out(struct nt_pcap_source *self, struct nt_batch *batch, uint64_t *room)
{
	uint64_t cost;

	if (self->judgement.selected) {
		cost = nt_pcap_follow_cost(&self->follow, self->next.capture_length);
		self->held = cost > *room;
		if (self->held) {
			self->pace.based = false; /* what comes behind it does not have to catch up */
			return false;
		}
		*room -= cost;
		self->arena_used += (self->next.capture_length + 7u) & ~7u;
		batch->packets[batch->count++] = self->next;
	} else {
		batch->unselected++;
	}
	self->pending = false;
	self->taken = self->number;
	return true;
}

static int nt_pcap_poll(struct nt_source *source, struct nt_batch *batch)
{
	struct nt_pcap_source *self = (struct nt_pcap_source *)source;
	uint64_t room = nt_pcap_follow_room(&self->follow);

	batch->count = 0;
	batch->unselected = 0;
	nt_pcap_rewind(self);
	while (batch->count < batch->limit && batch->unselected < READS_MAX && self->arena_used < ARENA_BYTES)
		if (!nt_pcap_fetch(self) || !nt_pcap_is_due(self) || !nt_pcap_hand_out(self, batch, &room))
			break;
	nt_count(&self->offered, batch->count + batch->unselected);
	if (self->ended && !self->pending && !batch->count && !batch->unselected)
		return -ENODATA;
	return (int)batch->count;
}

static void nt_pcap_release(struct nt_source *source, const struct nt_batch *batch)
{
	struct nt_pcap_source *self = (struct nt_pcap_source *)source;

	(void)batch;
	self->position = self->taken;
}

static uint64_t nt_pcap_position(const struct nt_source *source)
{
	return ((const struct nt_pcap_source *)source)->position;
}

static void nt_pcap_read_stats(struct nt_source *source, struct nt_source_stats *stats)
{
	stats->offered = nt_load_relaxed(&((struct nt_pcap_source *)source)->offered);
}

static void nt_pcap_wait(struct nt_source *source, int timeout_ms)
{
	struct nt_pcap_source *self = (struct nt_pcap_source *)source;
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + (int64_t)(self->held ? HELD_MS : timeout_ms) * NS_PER_MS;
	struct timespec until;

	if (!self->pending) {
		if (!self->ended && !nt_pcap_stream_is_ready(&self->stream))
			nt_pcap_stream_wait(&self->stream, timeout_ms);
		return;
	}
	if (!self->held && self->timed && self->due_ns < until_ns)
		until_ns = self->due_ns;
	until = (struct timespec){.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void nt_pcap_close(struct nt_source *source)
{
	struct nt_pcap_source *self = (struct nt_pcap_source *)source;

	if (self->pcap)
		pcap_close(self->pcap); /* the FILE, too */
	free(self->arena);
	free(self);
}

static const struct nt_source_ops nt_pcap_ops = {
	.poll = nt_pcap_poll,
	.release = nt_pcap_release,
	.read_stats = nt_pcap_read_stats,
	.wait = nt_pcap_wait,
	.position = nt_pcap_position,
	.close = nt_pcap_close,
};

static int nt_pcap_set_link(struct nt_pcap_source *self, struct nt_fault *fault)
{
	int datalink = pcap_datalink(self->pcap);

	self->stream.datalink = datalink;
	switch (datalink) {
	case DLT_EN10MB:
		self->link = NT_LINK_ETHERNET;
		return 0;
	case DLT_LINUX_SLL:
		self->link = NT_LINK_LINUX_SLL;
		self->link_flags = NT_RECORD_LINUX_SLL;
		return 0;
	case DLT_LINUX_SLL2:
		self->link = NT_LINK_LINUX_SLL2;
		self->link_flags = NT_RECORD_LINUX_SLL2;
		return 0;
	case 12: /* raw IP: what it is called depends on who wrote the file */
	case 14:
	case 101:
	case DLT_IPV4:
	case DLT_IPV6:
		self->link = NT_LINK_RAW_IP;
		self->link_flags = NT_RECORD_RAW_IP;
		return 0;
	default:
		return nt_fault_set(
			fault, -EPROTONOSUPPORT,
			"%.200s: expected Ethernet, Linux cooked or raw IP, found link type %s (%d): take its UDP out of it "
			"with another tool first",
			self->file, nt_pcap_link_name(datalink), datalink);
	}
}

/* Reads the file's header. The descriptor is gone in any case. */
static int nt_pcap_begin(struct nt_pcap_source *self, int fd, struct nt_fault *fault)
{
	char words[PCAP_ERRBUF_SIZE] = "";
	FILE *file;
	int error = nt_pcap_stream_open(&self->stream, fd, &file);

	if (error) {
		close(fd);
		return nt_fault_set(fault, error, "%.200s: no memory to read it", self->file);
	}
	self->pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, words);
	if (self->pcap)
		return nt_pcap_set_link(self, fault);
	error = nt_fault_set(
		fault, -EBADMSG,
		"%.200s: expected a capture file (pcap or pcapng), found %.200s: see that it is whole and not compressed",
		self->file, self->stream.at_end && !self->stream.end && !self->stream.error ? "an empty one" : words);
	fclose(file);
	return error;
}

/* The first packet is read already, since the interfaces stand before it. */
static int nt_pcap_check_interfaces(struct nt_pcap_source *self, struct nt_fault *fault)
{
	self->pending = nt_pcap_read(self);
	if (self->stream.other_link_type < 0)
		return 0;
	return nt_fault_set(
		fault, -EPROTONOSUPPORT,
		"%.200s: expected interfaces of one link type, found %s and %s: write a file of each, as with tshark -Y "
		"frame.interface_id==0 -w FILE",
		self->file, nt_pcap_link_name(self->stream.link_type), nt_pcap_link_name(self->stream.other_link_type));
}

int nt_pcap_open(struct nt_source **source, const struct nt_plan_source *plan, int fd, const struct nt_selector *selector,
		 struct nt_fault *fault)
{
	struct nt_pcap_source *self = calloc(1, sizeof(*self));
	uint8_t *arena = malloc(ARENA_BYTES + NT_PCAP_FRAME_MAX);
	int error;

	if (!self || !arena) {
		free(self);
		free(arena);
		close(fd);
		return nt_fault_set(fault, -ENOMEM, "%s: no memory for the pcap source", plan->interface);
	}
	self->arena = arena;
	self->selector = selector;
	self->pace.ppm = plan->pace_ppm;
	snprintf(self->file, sizeof(self->file), "%s", plan->file[0] ? plan->file : "standard input");
	self->source.ops = &nt_pcap_ops;
	self->source.kind = NT_SOURCE_PCAP;
	self->source.stamp_kind = NT_STAMPED_BY(NT_TS_FILE);
	self->source.stamp_domain = NT_CLOCK_UTC;
	self->source.numbers_flows = 1;
	snprintf(self->source.interface, sizeof(self->source.interface), "%s", plan->interface);
	snprintf(self->source.name, sizeof(self->source.name), "pcap:%s:0", plan->interface);
	error = nt_pcap_begin(self, fd, fault);
	if (!error)
		error = nt_pcap_check_interfaces(self, fault);
	if (error)
		nt_pcap_close(&self->source);
	else
		*source = &self->source;
	return error;
}

void nt_pcap_skip(struct nt_source *source, uint64_t packets)
{
	struct nt_pcap_source *self = (struct nt_pcap_source *)source;

	self->skip = self->taken = self->position = packets;
	self->pending = self->pending && self->number > packets;
}

int nt_pcap_follow(struct nt_source *source, const struct nt_ring *ring, const char *path, struct nt_fault *fault)
{
	struct nt_pcap_source *self = (struct nt_pcap_source *)source;

	if (!path[0] || strlen(path) >= sizeof(self->follow.path))
		return nt_fault_set(fault, -EINVAL,
				    "%.200s: the reader to follow: expected the path of its status file, at most %zu bytes",
				    self->file, sizeof(self->follow.path) - 1);
	snprintf(self->follow.path, sizeof(self->follow.path), "%s", path);
	self->follow.ring = ring;
	return 0;
}
