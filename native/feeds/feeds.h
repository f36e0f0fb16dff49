/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of a ring's packets: what their feed headers say, as Arrow columns, and what is missing, doubled or out of order, as findings.
 * tests/support/framing_model.py and tracking_model.py are the same in Python, as its oracle. */
#ifndef NT_FEEDS_H
#define NT_FEEDS_H

#include "decode.h"
#include "labels.h"
#include "streams.h"

#define NT_FEED_FLOWS_MAX 65536u
#define NT_FRAMINGS_MAX 256u
#define NT_FRAMING_NONE (-1)
#define NT_FIRST_UNKNOWN 2u

enum nt_finding_kind {
	NT_FOUND_GAP = 0,
	NT_FOUND_REORDER,
	NT_FOUND_LATE, /* fills a gap that was told */
	NT_FOUND_DUPLICATE,
	NT_FOUND_RESET,
	NT_FOUND_SESSION,
	NT_FOUND_END,
	NT_FOUND_KINDS
};

struct nt_finding {
	uint32_t kind; /* enum nt_finding_kind */
	uint32_t stream;
	int64_t seq_first;
	int64_t seq_last;
	uint64_t packets;       /* of a duplicate: how many, where several came together */
	uint64_t messages;      /* missing, filled, or doubled */
	int32_t session_before; /* of a new session: the label of the one before it on this key; -1: none */
	uint32_t reserved;
	struct nt_feed_hole hole; /* the two packets that it lies between; of what came late: the hole's stamps */
};

/* Sums over streams. */
struct nt_feed_sums {
	uint64_t messages;
	uint64_t duplicates;
	uint64_t reordered;
	uint64_t gaps;
	uint64_t missing;
};

/* What belongs to a flow, by its id. */
struct nt_feed_flow {
	int32_t framing; /* index; NT_FRAMING_NONE */
	uint32_t role;   /* enum nt_feed_role */
	uint32_t channel;
	uint32_t lines;       /* of its channel */
	uint32_t last_stream; /* of its last packet; NT_STREAM_NONE */
	uint32_t restarts;    /* how often its own sequence began anew: what was lost there is unknown */
	uint64_t packets;
	uint64_t bad; /* that do not fit the framing */
	int64_t first_ts_ns;
	int64_t last_ts_ns;
	uint64_t flow_seq;
	int64_t lost;                  /* packets of it that were lost after XDP, by its own sequence */
	struct nt_label_bytes session; /* of its last packet, with the indices of the labels; those are -2 without one */
	struct nt_label_bytes key;
	int32_t session_index;
	int32_t key_index;
	uint32_t streams; /* that it has */
	uint32_t reserved;
	struct nt_feed_sums past; /* of streams that were given up */
};

/* Packets in the order of the ring: columns of a ring reader's batch. */
struct nt_feed_rows {
	uint32_t rows;
	uint32_t reserved;
	const uint32_t *flow_id;
	const int32_t *payload_offsets; /* rows + 1 */
	const uint8_t *payload;
	const uint32_t *payload_length;
	const uint16_t *flags;
	const int64_t *ts_ns;
	const int64_t *ring_seq;
	const uint64_t *flow_seq; /* NULL: unknown */
	const uint32_t *lost_before;
};

/* `rows` values each, or as many bits rounded up to a byte. Slots that are null hold 0, status and the indices -1. */
struct nt_feed_columns {
	int32_t *session; /* index of a label */
	int32_t *key;
	int32_t *status; /* enum nt_feed_status */
	int64_t *seq;
	uint16_t *count;
	int64_t *send_ns;
	uint8_t *first; /* by nt_feeds_track: 1 the first line to bring it, 0 another was, NT_FIRST_UNKNOWN */
	uint8_t *session_valid;
	uint8_t *key_valid;
	uint8_t *status_valid;
	uint8_t *seq_valid; /* of count too */
	uint8_t *send_valid;
	uint32_t session_nulls;
	uint32_t key_nulls;
	uint32_t status_nulls;
	uint32_t seq_nulls;
	uint32_t send_nulls;
	uint32_t reserved;
};

struct nt_feeds {
	struct nt_framing *framings;
	struct nt_feed_flow *flows;
	struct nt_finding *findings; /* since they were last taken: set finding_count to 0 */
	uint32_t framing_count;
	uint32_t flow_count;
	uint32_t finding_count;
	uint32_t finding_capacity;
	int64_t window_ns;      /* how late a packet may come and be but reordered */
	int64_t reset_distance; /* how far back a sequence must jump to be a reset */
	int64_t ring_lost;
	uint64_t is_replay; /* what is tracked was recorded earlier: its flow sequences are made up */
	uint64_t untracked; /* packets of more sessions or keys than there is room for */
	int64_t looked_ns;  /* when streams were last looked through for such as are idle */
	uint64_t untracked_then;
	struct nt_labels labels;
	struct nt_feed_streams streams;
};

struct nt_feeds *nt_feeds_new(int64_t window_ns, int64_t reset_distance);
void nt_feeds_free(struct nt_feeds *feeds);

/* Index of a framing; -ENOMEM, -ENOSPC. */
int nt_feeds_add_framing(struct nt_feeds *feeds, const struct nt_framing *framing);
/* Says what a flow is. 0, -ENOMEM, -EINVAL. */
int nt_feeds_set_flow(struct nt_feeds *feeds, uint32_t flow, int32_t framing, uint32_t role, uint32_t channel, uint32_t lines);

/* Fills all columns but `first`. */
void nt_feeds_decode(struct nt_feeds *feeds, const struct nt_feed_rows *rows, struct nt_feed_columns *columns);
/* Follows the sequences of decoded packets, each packet once and in order. 0 or -ENOMEM. */
int nt_feeds_track(struct nt_feeds *feeds, const struct nt_feed_rows *rows, const struct nt_feed_columns *columns);
/* Holes that are older than the window at `now_ns` become gaps. 0 or -ENOMEM. */
int nt_feeds_expire(struct nt_feeds *feeds, int64_t now_ns);

/* Whether a stream brought all of first..last: 1 yes, 0 no, -1 not that far yet. */
int nt_feeds_covers(const struct nt_feeds *feeds, uint32_t stream, int64_t first, int64_t last);

/* Gives up streams that had no packet for long, so that a session a day does not fill the room in the end; of as good as all that are
 * not busy, once there is none left. Before a batch is tracked, while no finding names a stream. */
void nt_feeds_give_up_idle(struct nt_feeds *feeds, int64_t now_ns);

/* Gives up all streams: each begins anew with its next packet. 0 or -ENOMEM. */
int nt_feeds_forget(struct nt_feeds *feeds);

/* Takes over what another instance knew, of which all is checked: streams name labels by index, holes each other. What is not named is
 * left. 0, or nothing is taken over: -ENOMEM, -EINVAL. */
int nt_feeds_restore(struct nt_feeds *feeds, const struct nt_label *labels, uint32_t label_count,
		     const struct nt_feed_stream *streams, uint32_t stream_count, const struct nt_feed_hole *holes,
		     uint32_t hole_count);

#endif
