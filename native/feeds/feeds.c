/* SPDX-License-Identifier: Apache-2.0 */
#include "feeds.h"

#include "../ring/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN (-2) /* no label has been looked up for the flow yet */
#define HEADER_USUAL 32
#define AHEAD 24u /* rows whose payload is fetched into the cache before it is needed */

struct nt_feeds *nt_feeds_new(int64_t window_ns, int64_t reset_distance)
{
	struct nt_feeds *feeds = calloc(1, sizeof(*feeds));

	if (!feeds)
		return NULL;
	feeds->window_ns = window_ns;
	feeds->reset_distance = reset_distance;
	if (nt_labels_init(&feeds->labels) || nt_streams_init(&feeds->streams) ||
	    nt_feeds_set_flow(feeds, 0, NT_FRAMING_NONE, NT_ROLE_INCREMENTAL, 0, 0)) {
		nt_feeds_free(feeds);
		return NULL;
	}
	return feeds;
}

void nt_feeds_free(struct nt_feeds *feeds)
{
	if (!feeds)
		return;
	nt_labels_free(&feeds->labels);
	nt_streams_free(&feeds->streams);
	free(feeds->framings);
	free(feeds->flows);
	free(feeds->findings);
	free(feeds);
}

int nt_feeds_add_framing(struct nt_feeds *feeds, const struct nt_framing *framing)
{
	struct nt_framing *grown;

	if (feeds->framing_count == NT_FRAMINGS_MAX)
		return -ENOSPC;
	grown = realloc(feeds->framings, (feeds->framing_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	feeds->framings = grown;
	grown[feeds->framing_count] = *framing;
	return (int)feeds->framing_count++;
}

int nt_feeds_set_flow(struct nt_feeds *feeds, uint32_t flow, int32_t framing, uint32_t role, uint32_t channel, uint32_t lines)
{
	if (flow >= NT_FEED_FLOWS_MAX || framing < NT_FRAMING_NONE || framing >= (int32_t)feeds->framing_count)
		return -EINVAL;
	if (flow >= feeds->flow_count) {
		struct nt_feed_flow *grown = realloc(feeds->flows, (flow + 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		feeds->flows = grown;
		for (uint32_t i = feeds->flow_count; i <= flow; i++)
			grown[i] = (struct nt_feed_flow){.framing = NT_FRAMING_NONE,
							 .last_stream = NT_STREAM_NONE,
							 .session_index = UNKNOWN,
							 .key_index = UNKNOWN};
		feeds->flow_count = flow + 1;
	}
	feeds->flows[flow].framing = framing;
	feeds->flows[flow].role = role;
	feeds->flows[flow].channel = channel;
	feeds->flows[flow].lines = lines;
	return 0;
}

/* Eight rows of each bitmap, before they are written. */
struct bits {
	uint8_t session;
	uint8_t key;
	uint8_t status;
	uint8_t seq;
	uint8_t send;
};

static inline void write_bits(struct nt_feed_columns *columns, uint32_t row, struct bits *bits)
{
	columns->session_valid[row >> 3] = bits->session;
	columns->key_valid[row >> 3] = bits->key;
	columns->status_valid[row >> 3] = bits->status;
	columns->seq_valid[row >> 3] = bits->seq;
	columns->send_valid[row >> 3] = bits->send;
	*bits = (struct bits){0};
}

/* Nearly always that of the flow's packet before. */
static inline int32_t index_of(struct nt_feeds *feeds, const struct nt_number *place, const struct nt_label_bytes *bytes,
			       struct nt_label_bytes *cached, int32_t *index, bool big_endian)
{
	if (*index == UNKNOWN || bytes->low != cached->low || bytes->high != cached->high) {
		struct nt_label label = nt_label_of(place, big_endian, *bytes);

		*cached = *bytes;
		*index = nt_label_index(&feeds->labels, &label);
	}
	return *index;
}

static inline void fill_row(struct nt_feed_columns *columns, uint32_t row, const struct nt_feed_packet *packet, int32_t session,
			    int32_t key, struct bits *bits)
{
	bool is_decoded = packet->status != NT_FEED_NONE, is_sequenced = is_decoded && packet->status != NT_FEED_BAD;
	bool is_sent = is_sequenced && packet->send_ns != NT_SEND_UNKNOWN;
	unsigned at = row & 7;

	columns->session[row] = session;
	columns->key[row] = key;
	columns->status[row] = packet->status;
	columns->seq[row] = is_sequenced ? packet->seq : 0;
	columns->count[row] = is_sequenced ? (uint16_t)packet->count : 0;
	columns->send_ns[row] = is_sent ? packet->send_ns : 0;
	bits->session |= (uint8_t)((session >= 0) << at);
	bits->key |= (uint8_t)((key >= 0) << at);
	bits->status |= (uint8_t)(is_decoded << at);
	bits->seq |= (uint8_t)(is_sequenced << at);
	bits->send |= (uint8_t)(is_sent << at);
	columns->session_nulls += session < 0;
	columns->key_nulls += key < 0;
	columns->status_nulls += !is_decoded;
	columns->seq_nulls += !is_sequenced;
	columns->send_nulls += !is_sent;
}

static void decode_row(struct nt_feeds *feeds, const struct nt_feed_rows *rows, struct nt_feed_columns *columns, uint32_t row,
		       struct bits *bits)
{
	struct nt_feed_flow *flow = &feeds->flows[rows->flow_id[row] < feeds->flow_count ? rows->flow_id[row] : 0];
	const struct nt_framing *framing = &feeds->framings[flow->framing];
	int32_t at = rows->payload_offsets[row], session = -1, key = -1;
	struct nt_feed_packet packet;

	packet.status = NT_FEED_NONE;
	if (flow->framing != NT_FRAMING_NONE)
		nt_feed_decode(framing, flow->role, rows->payload + at, (uint32_t)(rows->payload_offsets[row + 1] - at),
			       rows->payload_length[row], rows->flags[row] & NT_RECORD_FRAGMENT, &packet);
	if (packet.status != NT_FEED_NONE && packet.status != NT_FEED_BAD) {
		session = index_of(feeds, &framing->session, &packet.session, &flow->session, &flow->session_index,
				   framing->big_endian);
		key = index_of(feeds, &framing->key, &packet.key, &flow->key, &flow->key_index, framing->big_endian);
	}
	fill_row(columns, row, &packet, session, key, bits);
}

void nt_feeds_decode(struct nt_feeds *feeds, const struct nt_feed_rows *rows, struct nt_feed_columns *columns)
{
	struct bits bits = {0};

	columns->session_nulls = columns->key_nulls = columns->status_nulls = columns->seq_nulls = columns->send_nulls = 0;
	for (uint32_t row = 0; row < rows->rows; row++) {
		if (row + AHEAD < rows->rows) {
			const uint8_t *payload = rows->payload + rows->payload_offsets[row + AHEAD];

			__builtin_prefetch(payload);
			__builtin_prefetch(payload + HEADER_USUAL); /* on the next cache line, now and then */
		}
		decode_row(feeds, rows, columns, row, &bits);
		if ((row & 7) == 7)
			write_bits(columns, row, &bits);
	}
	if (rows->rows & 7)
		write_bits(columns, rows->rows, &bits);
}

int nt_feeds_covers(const struct nt_feeds *feeds, uint32_t index, int64_t first, int64_t last)
{
	const struct nt_feed_stream *stream = &feeds->streams.streams[index];

	if (first < stream->first || first <= stream->forgotten || nt_holes_touch(&feeds->streams, &stream->open, first, last) ||
	    nt_holes_touch(&feeds->streams, &stream->told, first, last))
		return 0;
	return last < stream->expected ? 1 : -1;
}
