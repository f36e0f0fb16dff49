/* SPDX-License-Identifier: Apache-2.0 */
/* What following a packet finds, put down in the list of findings. */
#ifndef NT_FEED_FINDINGS_H
#define NT_FEED_FINDINGS_H

#include "feeds.h"

/* A packet with a sequence, or one that names the next. */
struct nt_tracked {
	int64_t seq;
	int64_t count;
	int64_t ts_ns;
	uint64_t ring_seq;
	int32_t status;
	int32_t session;
	int32_t key;
	bool next_only; /* it names the sequence that comes next, and has none itself */
};

/* All of these: 0 or -ENOMEM. */
int nt_finding_add(struct nt_feeds *feeds, const struct nt_finding *found);
/* What shows between the last packet of a stream and this one. */
int nt_finding_between(struct nt_feeds *feeds, uint32_t kind, uint32_t stream, const struct nt_tracked *packet, int64_t seq_first,
		       int64_t seq_last, uint64_t messages);
/* The oldest open hole of a stream becomes a gap; all of them do. */
int nt_finding_gap(struct nt_feeds *feeds, uint32_t stream);
int nt_finding_gaps(struct nt_feeds *feeds, uint32_t stream);
/* Those that are older than the window at a moment by the clock of the stream's stamps. */
int nt_finding_gaps_before(struct nt_feeds *feeds, uint32_t stream, int64_t now_ns);

/* Makes room for one more hole among the told ones. */
void nt_feed_forget_told(struct nt_feeds *feeds, struct nt_feed_stream *stream);

/* The sequences between what a stream expects and this packet, and what was lost meanwhile. */
struct nt_feed_hole nt_feed_between(const struct nt_feeds *feeds, const struct nt_feed_stream *stream,
				    const struct nt_tracked *packet);

#endif
