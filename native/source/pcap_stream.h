/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a capture file on their way from a descriptor to libpcap, which is handed them as a FILE. It tells what libpcap does
 * not: where each record begins, whether the next packet is there whole (so that no pipe holds up the loop), and what a pcapng block
 * says that libpcap does not pass on. */
#ifndef NT_PCAP_STREAM_H
#define NT_PCAP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NT_PCAP_FRAME_MAX 262144u /* libpcap takes no longer one for a link type that we read */

enum nt_pcap_format { NT_PCAP_NONE = 0, NT_PCAP_CLASSIC = 1, NT_PCAP_NG = 2 };
/* Which of a record's two lengths is the captured one: that changed with version 2.3, in which writers did not agree. */
enum nt_pcap_length_order { NT_PCAP_CAPTURED_FIRST = 0, NT_PCAP_CAPTURED_LAST = 1, NT_PCAP_CAPTURED_LESS = 2 };

struct nt_pcap_stream {
	int fd;
	uint8_t *buffer;
	size_t begin, end; /* in the buffer: read from the descriptor, but not by libpcap yet */
	uint64_t offset;   /* in the file, of `begin` */
	bool at_end;       /* no more will come, or `error` */
	int error;         /* errno of a read that failed; 0: none */

	uint32_t format; /* enum nt_pcap_format */
	bool swapped;
	bool nanoseconds;             /* classic */
	uint32_t length_order;        /* classic: enum nt_pcap_length_order */
	uint32_t record_header_bytes; /* classic */
	uint64_t record_at;           /* where the record (pcapng: block) begins that libpcap reads or read last */
	uint64_t record_end;          /* where the next one begins; UINT64_MAX: not known */
	uint32_t block_type;          /* pcapng, of that block; 0: cut short */
	uint32_t simple_length;       /* pcapng, of a simple packet block: bytes on the wire */
	uint32_t interfaces;          /* pcapng, in this section */
	uint32_t first_snap_length;   /* of these, the first one's; 0: no limit */
	int link_type;                /* pcapng: of the file's first interface; -1: none yet */
	int other_link_type;          /* of an interface that differs: libpcap ends there; -1: none */
	int datalink;                 /* what libpcap made of the first; set by whoever opened it */
};

/* Reads what tells the format, and makes the FILE that libpcap reads; with it the descriptor is closed. A negative errno leaves the
 * descriptor open. */
int nt_pcap_stream_open(struct nt_pcap_stream *stream, int fd, FILE **file);

/* True when libpcap can read the next packet, the end, or what is wrong, without waiting for the descriptor. Never waits itself. */
bool nt_pcap_stream_is_ready(struct nt_pcap_stream *stream);

/* Waits at most so long for the descriptor. */
void nt_pcap_stream_wait(struct nt_pcap_stream *stream, int timeout_ms);

/* The packet read last has no stamp: it came in a simple packet block. */
bool nt_pcap_stream_is_simple(const struct nt_pcap_stream *stream);

#endif
