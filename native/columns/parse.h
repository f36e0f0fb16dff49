/* SPDX-License-Identifier: Apache-2.0 */
/* One captured frame taken apart: header + payload + trailer are the frame byte for byte, whatever it holds. Never reads past the
 * captured bytes, never trusts a length on the wire. tests/support/frame_model.py is the same in Python, as its oracle. */
#ifndef NT_PARSE_H
#define NT_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#define NT_PARSE_TAGS_MAX 2u       /* 802.1Q and 802.1ad tags; a third leaves the frame unparsed */
#define NT_PARSE_EXTENSIONS_MAX 8u /* IPv6 extension headers */

/* Parsed: Ethernet II, with the stamp of an Arista 7280 (0xD28B) or without, or a Linux cooked header, with up to two tags, or neither; then IPv4 with options, IPv6 with hop-by-hop,
 * routing, destination, authentication and fragment headers; UDP. `header` ends after UDP, in a fragment after IP; `payload` is what
 * UDP's length covers, in a fragment what IP's length covers; `trailer` is the rest: padding, FCS, a switch's stamp. Of any other
 * frame `header` is the link's header with its tags: of raw IP nothing. */
struct nt_frame {
	uint32_t header_bytes; /* captured; the three add up to the capture length */
	uint32_t payload_bytes;
	uint32_t trailer_bytes;
	uint32_t payload_length; /* on the wire: more than payload_bytes when the capture was cut short */
	uint16_t flags;          /* NT_RECORD_FRAGMENT, NT_RECORD_BAD_CHECKSUM, NT_RECORD_UNPARSED */
	uint16_t vlan;           /* id of the innermost tag, or NT_VLAN_NONE */
	uint16_t src_port;       /* host order */
	uint16_t dst_port;
	bool has_ports; /* UDP's; a later fragment has none */
	uint8_t family; /* NT_FAMILY_*; 0: no intact IP header, and no addresses */
	uint8_t reserved[6];
	const uint8_t *src; /* in the frame, network order; NULL without `family` */
	const uint8_t *dst;
};

/* Of `record_flags` (enum nt_record_flag) some say what the frame begins with; NT_RECORD_REBUILT_HEADER, that the checksum of the IPv4
 * header says nothing. */
void nt_frame_parse(struct nt_frame *frame, const uint8_t *data, uint32_t capture_length, uint32_t wire_length,
		    uint16_t record_flags);

#endif
