/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <string.h>

#define NT_ETHERTYPE_IPV4 0x0800
#define NT_ETHERTYPE_IPV6 0x86DD
#define NT_PROTOCOL_UDP 17

uint32_t nt_checksum_add(uint32_t sum, const uint8_t *data, uint32_t bytes)
{
	uint64_t wide = sum;

	for (uint32_t at = 0; at + 1 < bytes; at += 2)
		wide += (uint32_t)data[at] << 8 | data[at + 1];
	if (bytes & 1)
		wide += (uint32_t)data[bytes - 1] << 8;
	while (wide >> 16)
		wide = (wide & 0xFFFF) + (wide >> 16);
	return (uint32_t)wide;
}

uint16_t nt_checksum_finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return (uint16_t)~sum;
}

/* RFC 1112 and RFC 2464. */
static void nt_put_group_mac(uint8_t *mac, const struct nt_frame_facts *facts)
{
	const uint8_t *to = facts->destination;

	memset(mac, 0, 6);
	if (facts->family == NT_FAMILY_IPV4 && (to[0] & 0xF0) == 0xE0) {
		mac[0] = 0x01;
		mac[2] = 0x5E;
		mac[3] = to[1] & 0x7F;
		memcpy(mac + 4, to + 2, 2);
	} else if (facts->family == NT_FAMILY_IPV6 && to[0] == 0xFF) {
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, to + 12, 4);
	}
}

static void nt_put_ipv4(uint8_t *ip, const struct nt_frame_facts *facts)
{
	memset(ip, 0, 20);
	ip[0] = 0x45;
	nt_put_be16(ip + 2, (uint16_t)(20 + 8 + facts->payload_bytes));
	ip[6] = 0x40;
	ip[8] = facts->ttl;
	ip[9] = NT_PROTOCOL_UDP;
	memcpy(ip + 12, facts->source, 4);
	memcpy(ip + 16, facts->destination, 4);
	nt_put_be16(ip + 10, nt_checksum_finish(nt_checksum_add(0, ip, 20)));
}

static void nt_put_ipv6(uint8_t *ip, const struct nt_frame_facts *facts)
{
	memset(ip, 0, 8);
	ip[0] = 0x60;
	nt_put_be16(ip + 4, (uint16_t)(8 + facts->payload_bytes));
	ip[6] = NT_PROTOCOL_UDP;
	ip[7] = facts->ttl;
	memcpy(ip + 8, facts->source, 16);
	memcpy(ip + 24, facts->destination, 16);
}

void nt_frame_write_header(uint8_t *frame, const struct nt_frame_facts *facts)
{
	bool ipv4 = facts->family == NT_FAMILY_IPV4;
	uint8_t *udp = frame + nt_frame_header_bytes(facts->family) - 8;

	nt_put_group_mac(frame, facts);
	memset(frame + 6, 0, 6);
	nt_put_be16(frame + 12, ipv4 ? NT_ETHERTYPE_IPV4 : NT_ETHERTYPE_IPV6);
	if (ipv4)
		nt_put_ipv4(frame + 14, facts);
	else
		nt_put_ipv6(frame + 14, facts);
	nt_put_be16(udp, facts->source_port);
	nt_put_be16(udp + 2, facts->destination_port);
	nt_put_be16(udp + 4, (uint16_t)(8 + facts->payload_bytes));
	nt_put_be16(udp + 6, 0);
}
