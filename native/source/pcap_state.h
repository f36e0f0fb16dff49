/* SPDX-License-Identifier: Apache-2.0 */
/* What the pcap source's files share. */
#ifndef NT_PCAP_STATE_H
#define NT_PCAP_STATE_H

#include "pcap.h"
#include "pcap_stream.h"

#include <pcap/pcap.h>

/* When each packet is due, by the file's stamps. */
struct nt_pcap_pace {
	uint64_t ppm; /* of the speed at which it was captured; 0: all are due */
	bool based;
	int64_t base_stamp_ns, base_ns; /* a stamp, and the CLOCK_MONOTONIC at which it was due */
	int64_t last_stamp_ns;
};

/* CLOCK_MONOTONIC at which a packet is due. Called once for each, in order. A packet whose stamp says nothing is due now, and those
 * behind it by its stamp. */
int64_t nt_pcap_pace_due(struct nt_pcap_pace *pace, const struct nt_packet *packet, int64_t now_ns);

/* How far the reader has come that must not be lapped. */
struct nt_pcap_follow {
	const struct nt_ring *ring; /* NULL: nobody waits */
	char path[256];
	bool there;        /* the reader's position is known */
	uint64_t position; /* of the reader, or what it has written, when its file was read last */
	int64_t looked_ns; /* CLOCK_MONOTONIC of that */
};

/* Bytes of records that may be put into the ring now; UINT64_MAX: any. */
uint64_t nt_pcap_follow_room(struct nt_pcap_follow *follow);

/* Bytes that a packet takes of that room: nothing when the ring has no place for it anyway. */
uint64_t nt_pcap_follow_cost(const struct nt_pcap_follow *follow, uint32_t capture_length);

struct nt_pcap_source {
	struct nt_source source;
	struct nt_pcap_stream stream;
	pcap_t *pcap;
	const struct nt_selector *selector;
	char file[256];
	uint32_t link;       /* enum nt_link */
	uint16_t link_flags; /* enum nt_record_flag */
	bool ended;
	bool held;         /* by the reader that it follows */
	uint64_t offered;  /* handed out or left out; read by the helper thread */
	uint64_t number;   /* in the file, of the packet read last; from 1 */
	uint64_t skip;     /* so many are not wanted */
	uint64_t taken;    /* number of the last packet of the batch in hand */
	uint64_t position; /* number of the last packet released */

	/* Read, but not handed out yet: it lies in the arena, behind those that are. */
	bool pending;
	bool timed; /* due_ns is known */
	int64_t due_ns;
	struct nt_packet next;
	struct nt_judgement judgement;

	struct nt_pcap_pace pace;
	struct nt_pcap_follow follow;
	size_t arena_used;
	uint8_t *arena; /* frames of the batch in hand: libpcap's own buffer holds but one */
};

/* pcap_packet.c: reads the next packet of the file into the arena; false when there is none, and then `ended`, and `damaged`
 * where that is not the end of the file. Waits for a pipe that has not brought it. */
bool nt_pcap_read(struct nt_pcap_source *self);

/* A link type by its name in files and in libpcap. */
const char *nt_pcap_link_name(int link_type);

#endif
