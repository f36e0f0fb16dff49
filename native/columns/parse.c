/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"

#include "../ring/layout.h"

#include <string.h>

#define ETHERNET_BYTES 14u
#define SLL_BYTES 16u
#define SLL2_BYTES 20u
#define TAG_BYTES 4u
#define STAMP_VERSION_BYTES 4u
#define STAMP_LONG_BYTES 12u
#define IPV4_BYTES 20u
#define IPV6_BYTES 40u
#define UDP_BYTES 8u

enum ether_type {
	ETHER_IPV4 = 0x0800,
	ETHER_IPV6 = 0x86DD,
	ETHER_8021Q = 0x8100,
	ETHER_8021AD = 0x88A8,
	ETHER_QINQ_OLD = 0x9100,
	ETHER_ARISTA = 0xD28B
};
enum ip_protocol { IP_HOP_BY_HOP = 0, IP_UDP = 17, IP_ROUTING = 43, IP_FRAGMENT = 44, IP_AUTHENTICATION = 51, IP_DESTINATION = 60 };

struct view {
	const uint8_t *data;
	uint32_t captured; /* bytes that may be read */
	uint32_t wire;     /* bytes that there were: no datagram can be longer */
};

/* Where an IP datagram's payload stands; offsets from the start of the frame. */
struct datagram {
	uint32_t begin;
	uint32_t end;    /* on the wire: may lie beyond what was captured */
	uint16_t offset; /* of a fragment; 0: the first or the only one */
	bool fragment;
	uint8_t protocol;
};

static inline uint16_t be16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool is_tag(uint16_t type)
{
	return type == ETHER_8021Q || type == ETHER_8021AD || type == ETHER_QINQ_OLD;
}

static bool checksum_is_right(const uint8_t *header, uint32_t bytes)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < bytes; i += 2)
		sum += be16(header + i);
	sum = (sum & 0xFFFF) + (sum >> 16);
	sum = (sum & 0xFFFF) + (sum >> 16);
	return sum == 0xFFFF;
}

/* A link's header: how long it is, and where in it the type of what follows stands. */
struct link {
	uint32_t bytes;
	uint32_t type_at;
};

static struct link link_of(uint16_t record_flags)
{
	if (record_flags & NT_RECORD_LINUX_SLL)
		return (struct link){SLL_BYTES, SLL_BYTES - 2};
	if (record_flags & NT_RECORD_LINUX_SLL2)
		return (struct link){SLL2_BYTES, 0};
	return (struct link){ETHERNET_BYTES, ETHERNET_BYTES - 2};
}

/* Walks over an Arista 7280's stamp, where it is one: *type is then what follows it. False: cut short. */
static bool parse_stamp(struct nt_frame *frame, const struct view *view, uint16_t *type)
{
	const uint8_t *at = view->data + frame->header_bytes;
	uint32_t left = view->captured - frame->header_bytes, form, bytes;

	if (left < STAMP_VERSION_BYTES)
		return false;
	form = at[3] >> 4;
	if (be16(at) != 1 || form < 1 || form > 2)
		return true; /* another protocol of theirs */
	bytes = STAMP_LONG_BYTES + 2 - 2 * form;
	if (left < bytes + 2)
		return false;
	*type = be16(at + bytes);
	frame->header_bytes += bytes + 2;
	return true;
}

/* Returns the type behind the tags, 0 when there is none; header_bytes then covers what was whole. */
static uint16_t parse_link(struct nt_frame *frame, const struct view *view, struct link link)
{
	uint16_t type;

	if (view->captured < link.bytes) {
		frame->header_bytes = view->captured;
		return 0;
	}
	frame->header_bytes = link.bytes;
	type = be16(view->data + link.type_at);
	if (link.bytes == ETHERNET_BYTES && type == ETHER_ARISTA && !parse_stamp(frame, view, &type))
		return 0;
	for (uint32_t tags = 0; tags < NT_PARSE_TAGS_MAX && is_tag(type); tags++) {
		if (view->captured - frame->header_bytes < TAG_BYTES)
			return 0;
		frame->vlan = be16(view->data + frame->header_bytes) & 0x0FFF;
		type = be16(view->data + frame->header_bytes + 2);
		frame->header_bytes += TAG_BYTES;
	}
	return type;
}

/* Without a link's header the version says which IP it is. */
static uint16_t raw_type(const struct view *view)
{
	if (view->captured == 0)
		return 0;
	return view->data[0] >> 4 == 4 ? ETHER_IPV4 : ETHER_IPV6;
}

static bool parse_ipv4(struct nt_frame *frame, const struct view *view, bool verify, struct datagram *datagram)
{
	uint32_t base = frame->header_bytes;
	const uint8_t *ip = view->data + base;
	uint32_t header, total, fragment;

	if (view->captured - base < IPV4_BYTES || ip[0] >> 4 != 4)
		return false;
	header = (ip[0] & 15u) * 4;
	if (header < IPV4_BYTES || view->captured - base < header)
		return false;
	frame->family = NT_FAMILY_IPV4;
	frame->src = ip + 12;
	frame->dst = ip + 16;
	if (verify && !checksum_is_right(ip, header))
		frame->flags |= NT_RECORD_BAD_CHECKSUM;
	total = be16(ip + 2);
	fragment = be16(ip + 6);
	datagram->begin = base + header;
	datagram->end = base + total;
	datagram->offset = (uint16_t)((fragment & 0x1FFF) * 8);
	datagram->fragment = (fragment & 0x3FFF) != 0;
	datagram->protocol = ip[9];
	return total >= header && total <= view->wire - base;
}

/* Length of the extension header at `at`, 0 when `protocol` is none. The fragment header is not walked over here. */
static uint32_t extension_bytes(uint8_t protocol, const uint8_t *at)
{
	switch (protocol) {
	case IP_HOP_BY_HOP:
	case IP_ROUTING:
	case IP_DESTINATION:
		return (at[1] + 1u) * 8;
	case IP_AUTHENTICATION:
		return (at[1] + 2u) * 4;
	case IP_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

static bool parse_extensions(const struct view *view, struct datagram *datagram)
{
	uint32_t limit = least(view->captured, datagram->end);

	for (uint32_t i = 0; i <= NT_PARSE_EXTENSIONS_MAX; i++) {
		const uint8_t *at = view->data + datagram->begin;
		uint32_t bytes, fragment;

		if (datagram->protocol == IP_UDP)
			return true;
		if (i == NT_PARSE_EXTENSIONS_MAX || limit - datagram->begin < 8)
			return false;
		bytes = extension_bytes(datagram->protocol, at);
		if (bytes == 0 || bytes > limit - datagram->begin)
			return false;
		fragment = datagram->protocol == IP_FRAGMENT ? be16(at + 2) & 0xFFF9u : 0;
		datagram->protocol = at[0];
		datagram->begin += bytes;
		if (fragment) { /* offset 0 and nothing to follow would be a whole datagram: RFC 6946 */
			datagram->fragment = true;
			datagram->offset = (uint16_t)(fragment & 0xFFF8);
			return datagram->protocol == IP_UDP;
		}
	}
	return false;
}

static bool parse_ipv6(struct nt_frame *frame, const struct view *view, struct datagram *datagram)
{
	uint32_t base = frame->header_bytes;
	const uint8_t *ip = view->data + base;
	uint32_t length;

	if (view->captured - base < IPV6_BYTES || ip[0] >> 4 != 6)
		return false;
	frame->family = NT_FAMILY_IPV6;
	frame->src = ip + 8;
	frame->dst = ip + 24;
	length = be16(ip + 4);
	datagram->begin = base + IPV6_BYTES;
	datagram->end = datagram->begin + length;
	datagram->protocol = ip[6];
	if (length == 0 || length > view->wire - datagram->begin) /* 0: a jumbogram, which no market-data link carries */
		return false;
	return parse_extensions(view, datagram);
}

static void parse_ports(struct nt_frame *frame, const uint8_t *udp)
{
	frame->src_port = be16(udp);
	frame->dst_port = be16(udp + 2);
	frame->has_ports = true;
}

/* Where header and payload end: `end` is the end on the wire. */
static void set_spans(struct nt_frame *frame, const struct view *view, uint32_t begin, uint32_t end)
{
	frame->header_bytes = begin;
	frame->payload_length = end - begin;
	frame->payload_bytes = least(end, view->captured) - begin;
	frame->trailer_bytes = view->captured - begin - frame->payload_bytes;
}

static bool parse_udp(struct nt_frame *frame, const struct view *view, const struct datagram *datagram)
{
	const uint8_t *udp = view->data + datagram->begin;
	uint32_t readable = least(view->captured, datagram->end) - datagram->begin;
	uint32_t length;

	if (datagram->protocol != IP_UDP)
		return false;
	if (datagram->offset == 0 && readable < UDP_BYTES)
		return false;
	if (datagram->fragment) {
		if (datagram->offset == 0)
			parse_ports(frame, udp);
		set_spans(frame, view, datagram->begin, datagram->end);
		return true;
	}
	length = be16(udp + 4);
	if (length < UDP_BYTES || length > datagram->end - datagram->begin)
		return false;
	parse_ports(frame, udp);
	set_spans(frame, view, datagram->begin + UDP_BYTES, datagram->begin + length);
	return true;
}

void nt_frame_parse(struct nt_frame *frame, const uint8_t *data, uint32_t capture_length, uint32_t wire_length,
		    uint16_t record_flags)
{
	struct view view = {
		.data = data,
		.captured = capture_length,
		.wire = wire_length > capture_length ? wire_length : capture_length,
	};
	struct datagram datagram = {.begin = 0};
	bool whole = false;
	uint16_t type;

	memset(frame, 0, sizeof(*frame));
	frame->vlan = NT_VLAN_NONE;
	type = record_flags & NT_RECORD_RAW_IP ? raw_type(&view) : parse_link(frame, &view, link_of(record_flags));
	if (type == ETHER_IPV4)
		whole = parse_ipv4(frame, &view, !(record_flags & NT_RECORD_REBUILT_HEADER), &datagram);
	else if (type == ETHER_IPV6)
		whole = parse_ipv6(frame, &view, &datagram);
	if (datagram.fragment)
		frame->flags |= NT_RECORD_FRAGMENT;
	if (!whole || !parse_udp(frame, &view, &datagram)) {
		frame->flags |= NT_RECORD_UNPARSED;
		set_spans(frame, &view, frame->header_bytes, view.wire);
	}
}
