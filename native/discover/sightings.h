/* SPDX-License-Identifier: Apache-2.0 */
/* What was seen on an interface, one entry for each (VLANs, source, group, port), in a table of fixed size: whatever arrives, the
 * memory is what it was at the start. Entries never move and never go, so that an index names one for as long as the table lives. */
#ifndef NT_SIGHTINGS_H
#define NT_SIGHTINGS_H

#include <stddef.h>
#include <stdint.h>

#define NT_SIGHTINGS_MAX 65536u
#define NT_SAMPLES 8u       /* of the first packets of an entry */
#define NT_SAMPLE_BYTES 48u /* of a payload that are kept: the headers known, and how a message begins */

struct nt_sample {
	int64_t stamp_ns;       /* UTC */
	uint32_t payload_bytes; /* on the wire */
	uint16_t kept_bytes;    /* of them, in `payload` */
	uint16_t fragment;      /* 1: of a first IP fragment, so that lengths in it are of something longer */
	uint8_t payload[NT_SAMPLE_BYTES];
};

_Static_assert(sizeof(struct nt_sample) == 64, "half a pair of lines");

struct nt_sighting {
	/* What makes two entries the same one: the first 40 bytes. */
	uint8_t source[16];  /* network order; IPv4 in the first four bytes, the rest zero */
	uint8_t group[16];   /* destination; unicast too when that was asked for */
	uint16_t family;     /* NT_FAMILY_* */
	uint16_t port;       /* UDP destination port, host order */
	uint16_t vlan;       /* outermost id but 0, as a flow names it, or NT_VLAN_NONE */
	uint16_t inner_vlan; /* id but 0 of a second tag, or NT_VLAN_NONE */
	uint32_t smallest;   /* frame, bytes on the wire */
	uint32_t largest;
	uint64_t packets;
	uint64_t bytes;   /* frames' bytes on the wire */
	int64_t first_ns; /* UTC */
	int64_t last_ns;
	uint32_t sample_count;
	uint8_t reserved[44];
	struct nt_sample samples[NT_SAMPLES]; /* of the first packets with a payload */
};

_Static_assert(sizeof(struct nt_sighting) == 640 && offsetof(struct nt_sighting, samples) == 128, "pairs of lines, counts in one");

struct nt_prefix { /* addresses that begin with the first `bits` of `address` */
	uint8_t address[16];
	uint16_t family;
	uint16_t bits;
};

struct nt_sightings_filter { /* both lists; an empty one lets everything through. The lists are copied. */
	const struct nt_prefix *groups;
	const uint16_t *ports;
	uint32_t group_count;
	uint32_t port_count;
};

struct nt_sightings {
	const struct nt_sighting *entries; /* `count` of them */
	uint64_t count;
	uint64_t packets;   /* given to the table; the sum of the entries' packets and of the four below */
	uint64_t unparsed;  /* headers that cannot be read */
	uint64_t fragments; /* later ones, which name no port */
	uint64_t filtered;  /* left out by the filter */
	uint64_t not_kept;  /* of further senders, groups or ports, when the table was full */
};

/* Returns 0, -EINVAL for a filter that cannot be, or -ENOMEM. */
int nt_sightings_create(struct nt_sightings **sightings, const struct nt_sightings_filter *filter);
void nt_sightings_destroy(struct nt_sightings *sightings);

/* Enters one Ethernet frame. Never allocates. */
void nt_sightings_take(struct nt_sightings *sightings, const uint8_t *frame, uint32_t capture_length, uint32_t wire_length,
		       int64_t stamp_ns);

#endif
