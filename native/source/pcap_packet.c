/* SPDX-License-Identifier: Apache-2.0 */
/* One packet of a capture file, as libpcap reads it, and what it says when it cannot. */
#include "pcap_state.h"

#include <string.h>

#define NS_PER_S 1000000000

__extension__ typedef __int128 nt_wide; /* holds any seconds in nanoseconds */

/* libpcap takes the unsigned 32 bits of the classic format for signed ones, and makes thousands of microseconds. */
static uint32_t classic_fraction(const struct nt_pcap_stream *stream, const struct pcap_pkthdr *header)
{
	return (uint32_t)(stream->nanoseconds ? header->ts.tv_usec : header->ts.tv_usec / 1000);
}

static void put_stamp(const struct nt_pcap_stream *stream, const struct pcap_pkthdr *header, struct nt_packet *packet)
{
	nt_wide seconds = header->ts.tv_sec;
	int64_t fraction_ns = header->ts.tv_usec; /* we asked for nanoseconds */
	nt_wide stamp_ns;

	if (stream->format == NT_PCAP_CLASSIC) {
		seconds = (uint32_t)header->ts.tv_sec;
		fraction_ns = (int64_t)classic_fraction(stream, header) * (stream->nanoseconds ? 1 : 1000);
	}
	stamp_ns = seconds * NS_PER_S + fraction_ns;
	packet->stamp_ns = (int64_t)stamp_ns;
	if (fraction_ns < 0 || fraction_ns >= NS_PER_S)
		packet->flags |= NT_RECORD_BAD_STAMP;
	if (stamp_ns > INT64_MAX || stamp_ns < -INT64_MAX) { /* INT64_MIN is no time to others: "not a time" */
		packet->stamp_ns = stamp_ns < 0 ? -INT64_MAX : INT64_MAX;
		packet->flags |= NT_RECORD_BAD_STAMP;
	}
}

static void take(struct nt_pcap_source *self, const struct pcap_pkthdr *header, const u_char *data)
{
	uint8_t *frame = self->arena + self->arena_used;
	uint32_t captured = header->caplen < NT_PCAP_FRAME_MAX ? header->caplen : NT_PCAP_FRAME_MAX;
	uint32_t wire = header->len;
	bool simple = nt_pcap_stream_is_simple(&self->stream);

	if (simple)
		wire = self->stream.simple_length;
	memcpy(frame, data, captured);
	self->next = (struct nt_packet){
		.data = frame,
		.capture_length = captured,
		.wire_length = wire > header->caplen ? wire : header->caplen,
		.flags = self->link_flags,
		.ts_kind = NT_TS_FILE,
		.stamp_clock = simple ? NT_CLOCK_UNKNOWN : NT_CLOCK_UTC,
	};
	if (!simple)
		put_stamp(&self->stream, header, &self->next);
	self->judgement = nt_selector_judge(self->selector, self->link, frame, captured);
	self->next.flow_id = self->judgement.flow_id;
	if (self->judgement.unparsed)
		self->next.flags |= NT_RECORD_UNPARSED;
}

const char *nt_pcap_link_name(int link_type)
{
	const char *name = link_type == 101 ? "RAW" : pcap_datalink_val_to_name(link_type); /* 12 in libpcap, 101 in files */

	return name ? name : "unknown";
}

static void put_note(struct nt_pcap_source *self)
{
	const struct nt_pcap_stream *stream = &self->stream;
	char mixed[128];

	snprintf(mixed, sizeof(mixed), "an interface of link type %s behind one of %s: write a file of each",
		 nt_pcap_link_name(stream->other_link_type), nt_pcap_link_name(stream->link_type));
	snprintf(self->source.note, sizeof(self->source.note),
		 "%.180s: packet %llu at byte %llu: %.200s; the %llu packets before it are kept", self->file,
		 (unsigned long long)self->number + 1, (unsigned long long)stream->record_at,
		 stream->other_link_type >= 0 ? mixed : pcap_geterr(self->pcap), (unsigned long long)self->number);
}

bool nt_pcap_read(struct nt_pcap_source *self)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	int got;

	got = pcap_next_ex(self->pcap, &header, &data);
	if (got == 1) {
		take(self, header, data);
		self->number++;
		return true;
	}
	self->ended = true;
	if (got != PCAP_ERROR_BREAK) {
		put_note(self);
		self->source.damaged = 1;
	}
	return false;
}
