/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of sequences, one for each flow, session and key, with what is missing of them. A flow is one line of a channel. Plain
 * arrays with indices between them, so that a recorder can save them as they are and its successor goes on with them. */
#ifndef NT_FEED_STREAMS_H
#define NT_FEED_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#define NT_STREAMS_MAX 65536u
#define NT_STREAMS_FLOW_MAX 16384u /* of one flow: noise on it must leave room for the others */
#define NT_STREAM_NONE UINT32_MAX
#define NT_FLOW_NONE UINT32_MAX /* of a stream that was given up: its place is free */
#define NT_HOLES_MAX 64u        /* open ones of each stream */
#define NT_TOLD_MAX 512u        /* told ones */

/* Sequences first..last of a stream, between two packets of it. */
struct nt_feed_hole {
	int64_t first;
	int64_t last;
	int64_t ts_before_ns;
	int64_t ts_ns;
	uint64_t ring_seq_before;
	uint64_t ring_seq;
	int64_t flow_lost; /* packets of the flow that were lost after XDP between the two; -1: unknown */
	int64_t ring_lost; /* records of the ring, of any flow, lost between the two */
	uint32_t next;     /* index + 1 of the next younger hole, or of the next free one; 0: none */
	uint32_t reserved;
};

struct nt_feed_holes {
	uint32_t oldest; /* index + 1; 0: none */
	uint32_t newest;
	uint32_t count;
	uint32_t reserved;
};

struct nt_feed_stream {
	uint32_t flow;
	int32_t session; /* index of its label; -1: none */
	int32_t key;
	uint32_t group; /* the same session and key on the channel's other lines */
	int64_t first;  /* sequence that it began with */
	int64_t expected;
	int64_t last_ts_ns; /* of its last packet */
	uint64_t last_ring_seq;
	int64_t flow_lost; /* the flow's `lost` then */
	int64_t ring_lost; /* the ring's */
	uint32_t flow_restarts;
	uint32_t ended;
	uint64_t packets;
	uint64_t messages;
	uint64_t duplicates; /* messages */
	uint64_t reordered;  /* messages that came late, within the window */
	uint64_t gaps;
	uint64_t missing;  /* messages in them, less those that came after all */
	int64_t forgotten; /* last sequence of the told holes that are no longer kept */
	int64_t run_end;   /* sequence after the last packet that brought nothing new */
	uint64_t run;      /* such packets, each going on where the one before it ended, and no other in between */
	struct nt_feed_holes open;
	struct nt_feed_holes told;
};

struct nt_feed_streams {
	struct nt_feed_stream *streams;
	struct nt_feed_hole *holes;
	int64_t *group_next; /* of each group: the sequence after the highest that any line brought */
	uint32_t *slots;     /* hash table of stream index + 1 by flow, session and key */
	uint32_t *group_slots;
	uint32_t *group_channels; /* of each group, and its session and key */
	int32_t *group_sessions;
	int32_t *group_keys;
	uint32_t count;
	uint32_t capacity; /* of streams and groups; there are twice as many slots */
	uint32_t group_count;
	uint32_t hole_count; /* ever used; the others are in the list of free ones */
	uint32_t hole_capacity;
	uint32_t free_hole; /* index + 1 */
	uint32_t open_count;
	uint32_t free_stream; /* index + 1 of a place that was given up, its `group` the next such; 0: none */
};

int nt_streams_init(struct nt_feed_streams *all);
void nt_streams_free(struct nt_feed_streams *all);

/* Index of a stream; NT_STREAM_NONE: it is not known yet. */
uint32_t nt_stream_find(const struct nt_feed_streams *all, uint32_t flow, int32_t session, int32_t key);
/* A new one; NT_STREAM_NONE: there are too many, or there is no memory. */
uint32_t nt_stream_add(struct nt_feed_streams *all, uint32_t flow, uint32_t channel, int32_t session, int32_t key);

/* Finds a new place in the hash tables for all that is there, after some were given up. Groups without a stream are dropped. */
void nt_streams_settle(struct nt_feed_streams *all);

/* Appends a hole to a list of open or told ones; false: no memory. */
bool nt_hole_add(struct nt_feed_streams *all, struct nt_feed_holes *list, const struct nt_feed_hole *hole);
/* Takes the oldest one off. */
struct nt_feed_hole nt_hole_pop(struct nt_feed_streams *all, struct nt_feed_holes *list);
/* Takes first..last out of all holes of a list. Returns how many sequences were in them; `since_ns` becomes the oldest's stamp. */
uint64_t nt_holes_fill(struct nt_feed_streams *all, struct nt_feed_holes *list, int64_t first, int64_t last, int64_t *since_ns);
bool nt_holes_touch(const struct nt_feed_streams *all, const struct nt_feed_holes *list, int64_t first, int64_t last);

#endif
