/* SPDX-License-Identifier: Apache-2.0 */
/* What a frame is, as far as the selection asks: one text, compiled by clang into the XDP program and by gcc into user space, so that
 * a frame is judged alike wherever it comes in. Never reads at or beyond `end`.
 *
 *     link       Ethernet (14 bytes), Linux cooked (16), Linux cooked 2 (20) or nothing
 *     stamp      of an Arista 7280: behind Ethernet's 0xD28B its subtype 1, version and stamp, then the frame's own type
 *     tags       up to two of 0x8100, 0x88A8, 0x9100; the outermost id other than 0 is the VLAN
 *     IPv4       with options
 *     IPv6       up to eight hop-by-hop, routing, destination, authentication and fragment headers
 *     UDP        all eight bytes of it, but in a later fragment
 *
 * Unparsed is what claims to be that and cannot be read so: cut short within these headers, a third tag, a ninth extension header, a
 * version or header length that cannot be, a later fragment whose first header is another extension header. The column decoder
 * (../columns/parse.h) must flag at least these. Lengths that IP and UDP claim and checksums are not looked at. */
#ifndef NT_CLASSIFY_H
#define NT_CLASSIFY_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "../ring/flow.h"
#include "../source/link.h"

#define NT_INLINE static inline __attribute__((always_inline))
#ifdef __bpf__
#define NT_UNROLL _Pragma("unroll")
#define NT_OPAQUE(value) __asm__ volatile("" : "+r"(value)) /* clang must compute it here, and so */
#else
#define NT_UNROLL
#define NT_OPAQUE(value) (void)(value)
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NT_BE16(value) ((__u16)__builtin_bswap16((__u16)(value)))
#else
#define NT_BE16(value) ((__u16)(value))
#endif

#define NT_TAGS_MAX 2
#define NT_EXTENSIONS_MAX 8

enum nt_link_bytes { NT_ETHERNET_BYTES = 14, NT_LINUX_SLL_BYTES = 16, NT_LINUX_SLL2_BYTES = 20, NT_TAG_BYTES = 4 };
enum nt_stamp_bytes { NT_STAMP_VERSION_BYTES = 4, NT_STAMP_LONG_BYTES = 12 };
enum nt_ip_bytes { NT_IPV4_BYTES = 20, NT_IPV6_BYTES = 40, NT_EXTENSION_BYTES = 8, NT_UDP_BYTES = 8 };
enum nt_ether_type {
	NT_ETHER_IPV4 = 0x0800,
	NT_ETHER_IPV6 = 0x86DD,
	NT_ETHER_8021Q = 0x8100,
	NT_ETHER_8021AD = 0x88A8,
	NT_ETHER_9100 = 0x9100,
	NT_ETHER_ARISTA = 0xD28B
};
enum nt_ip_protocol {
	NT_IP_HOP_BY_HOP = 0,
	NT_IP_UDP = 17,
	NT_IP_ROUTING = 43,
	NT_IP_FRAGMENT = 44,
	NT_IP_AUTHENTICATION = 51,
	NT_IP_DESTINATION = 60,
};

enum nt_class {
	NT_CLASS_FOREIGN = 0,  /* certainly not UDP over IP */
	NT_CLASS_UDP = 1,      /* whole, or a first fragment: it has a port */
	NT_CLASS_FRAGMENT = 2, /* a later one: no port */
	NT_CLASS_UNPARSED = 3,
	NT_CLASS_IPV4 = 4, /* by the link layer alone: nt_classify_ipv4 tells more */
	NT_CLASS_IPV6 = 5,
};

struct nt_headers {
	const __u8 *ip; /* with NT_CLASS_UDP and _FRAGMENT the whole IP header can be read; unaligned */
	__u16 vlan;     /* host order, or NT_VLAN_NONE */
	__u16 port;     /* network order; NT_CLASS_UDP only */
};

/* In network order. The verifier knows the packet's bounds by pointers, and clang would take the bytes one by one. */
NT_INLINE __u16 nt_load16(const __u8 *at)
{
#ifdef __bpf__
	return *(const __u16 *)at;
#else
	__u16 value;

	__builtin_memcpy(&value, at, sizeof(value));
	return value;
#endif
}

NT_INLINE __u32 nt_load32(const __u8 *at)
{
#ifdef __bpf__
	return *(const __u32 *)at;
#else
	__u32 value;

	__builtin_memcpy(&value, at, sizeof(value));
	return value;
#endif
}

NT_INLINE void nt_load_address6(__u8 *to, const __u8 *at)
{
	for (int i = 0; i < 16; i += 4) {
		__u32 word = nt_load32(at + i);

		__builtin_memcpy(to + i, &word, sizeof(word));
	}
}

NT_INLINE bool nt_stands(const __u8 *at, const __u8 *end, __u32 bytes)
{
#ifdef __bpf__
	return at + bytes <= end;
#else
	return (size_t)(end - at) >= bytes;
#endif
}

/* Moves on by `skip` bytes, if `bytes` bytes stand there. The verifier follows pointers, not differences of them; in C a pointer
 * beyond the end must not even be made. */
NT_INLINE bool nt_step(const __u8 **at, const __u8 *end, __u32 skip, __u32 bytes)
{
#ifdef __bpf__
	*at += skip;
	NT_OPAQUE(*at); /* one register for the check and for what is read then: the verifier knows no other by it */
	return nt_stands(*at, end, bytes);
#else
	if (!nt_stands(*at, end, skip + bytes))
		return false;
	*at += skip;
	return true;
#endif
}

NT_INLINE bool nt_is_tag(__u16 type)
{
	return type == NT_BE16(NT_ETHER_8021Q) || type == NT_BE16(NT_ETHER_8021AD) || type == NT_BE16(NT_ETHER_9100);
}

/* Walks over the tags; `headers->ip` stands behind the link header. */
NT_INLINE enum nt_class nt_classify_type(struct nt_headers *headers, const __u8 *end, __u16 type)
{
	NT_UNROLL
	for (int tags = 0; tags <= NT_TAGS_MAX && nt_is_tag(type); tags++) {
		const __u8 *tag = headers->ip;
		__u16 id;

		if (tags == NT_TAGS_MAX || !nt_stands(tag, end, NT_TAG_BYTES))
			return NT_CLASS_UNPARSED;
		id = NT_BE16(nt_load16(tag)) & 0x0FFF;
		if (headers->vlan == NT_VLAN_NONE && id) /* id 0 is a priority tag: no VLAN */
			headers->vlan = id;
		type = nt_load16(tag + 2);
		headers->ip = tag + NT_TAG_BYTES;
	}
	if (type == NT_BE16(NT_ETHER_IPV4))
		return NT_CLASS_IPV4;
	return type == NT_BE16(NT_ETHER_IPV6) ? NT_CLASS_IPV6 : NT_CLASS_FOREIGN;
}

NT_INLINE enum nt_class nt_classify_raw(struct nt_headers *headers, const __u8 *begin, const __u8 *end)
{
	headers->ip = begin;
	if (!nt_stands(begin, end, 1))
		return NT_CLASS_UNPARSED;
	if (begin[0] >> 4 == 4)
		return NT_CLASS_IPV4;
	return begin[0] >> 4 == 6 ? NT_CLASS_IPV6 : NT_CLASS_UNPARSED;
}

/* Walks over an Arista 7280's stamp, where it is one: *type is then what follows it. False: cut short. */
NT_INLINE bool nt_step_stamp(struct nt_headers *headers, const __u8 *end, __u16 *type)
{
	const __u8 *at = headers->ip;
	__u32 form;

	if (!nt_stands(at, end, NT_STAMP_VERSION_BYTES))
		return false;
	form = at[3] >> 4;
	if (nt_load16(at) != NT_BE16(1) || form - 1 > 1)
		return true;                                           /* another protocol of theirs */
	if (!nt_step(&at, end, NT_STAMP_LONG_BYTES + 2 - 2 * form, 2)) /* form 1: seconds of 4 bytes; 2: of 2 */
		return false;
	*type = nt_load16(at);
	headers->ip = at + 2;
	return true;
}

/* What the link layer says: _IPV4, _IPV6, _FOREIGN or _UNPARSED. Sets `vlan` and `ip`. */
NT_INLINE enum nt_class nt_classify_link(struct nt_headers *headers, enum nt_link link, const __u8 *begin, const __u8 *end)
{
	__u32 bytes = NT_ETHERNET_BYTES, type_at = 12;
	__u16 type;

	headers->vlan = NT_VLAN_NONE;
	headers->port = 0;
	if (link == NT_LINK_RAW_IP)
		return nt_classify_raw(headers, begin, end);
	if (link == NT_LINK_LINUX_SLL) {
		bytes = NT_LINUX_SLL_BYTES;
		type_at = 14;
	} else if (link == NT_LINK_LINUX_SLL2) {
		bytes = NT_LINUX_SLL2_BYTES;
		type_at = 0;
	}
	headers->ip = begin;
	if (!nt_stands(begin, end, bytes))
		return NT_CLASS_UNPARSED;
	headers->ip = begin + bytes;
	type = nt_load16(begin + type_at);
	if (link == NT_LINK_ETHERNET && type == NT_BE16(NT_ETHER_ARISTA) && !nt_step_stamp(headers, end, &type))
		return NT_CLASS_UNPARSED;
	return nt_classify_type(headers, end, type);
}

NT_INLINE enum nt_class nt_classify_ipv4(struct nt_headers *headers, const __u8 *end)
{
	const __u8 *at = headers->ip;
	__u32 bytes;

	if (!nt_stands(at, end, NT_IPV4_BYTES))
		return NT_CLASS_UNPARSED;
	bytes = (at[0] & 15u) * 4;
	if (at[0] >> 4 != 4 || bytes < NT_IPV4_BYTES)
		return NT_CLASS_UNPARSED;
	if (at[9] != NT_IP_UDP)
		return NT_CLASS_FOREIGN;
	if (nt_load16(at + 6) & NT_BE16(0x1FFF)) /* offset */
		return nt_step(&at, end, bytes, 0) ? NT_CLASS_FRAGMENT : NT_CLASS_UNPARSED;
	if (!nt_step(&at, end, bytes, NT_UDP_BYTES))
		return NT_CLASS_UNPARSED;
	headers->port = nt_load16(at + 2);
	return NT_CLASS_UDP;
}

NT_INLINE bool nt_is_extension(__u8 protocol)
{
	const __u64 extensions = 1ull << NT_IP_HOP_BY_HOP | 1ull << NT_IP_ROUTING | 1ull << NT_IP_FRAGMENT |
				 1ull << NT_IP_AUTHENTICATION | 1ull << NT_IP_DESTINATION;

	return protocol < 64 && (extensions >> protocol & 1);
}

/* 1 or 0 without a branch: after one, the verifier knows the protocol, and follows each chain of eight headers by itself. */
NT_INLINE __u32 nt_equals(__u8 protocol, __u8 wanted)
{
	__u32 difference = protocol ^ wanted;

	NT_OPAQUE(difference);
	return (difference - 1) >> 31;
}

NT_INLINE __u32 nt_extension_bytes(__u8 protocol, const __u8 *extension)
{
	__u32 authentication = nt_equals(protocol, NT_IP_AUTHENTICATION);
	__u32 length = extension[1] & (nt_equals(protocol, NT_IP_FRAGMENT) - 1); /* a fragment header has no length, but 8 bytes */
	__u32 bytes = (length + 1 + authentication) << (3 - authentication);

	NT_OPAQUE(bytes);
	return bytes & 0xFFC; /* changes nothing, but the verifier sees a bound */
}

/* Of a later fragment, by what its fragment header says of the first: if that begins with a further extension header, only it knows
 * whether this is UDP. */
NT_INLINE enum nt_class nt_classify_fragment(__u8 next)
{
	if (next == NT_IP_UDP)
		return NT_CLASS_FRAGMENT;
	return nt_is_extension(next) ? NT_CLASS_UNPARSED : NT_CLASS_FOREIGN;
}

NT_INLINE enum nt_class nt_classify_ipv6(struct nt_headers *headers, const __u8 *end)
{
	const __u8 *at = headers->ip;
	__u32 bytes = NT_IPV6_BYTES;
	__u8 next;

	if (!nt_stands(at, end, NT_IPV6_BYTES) || at[0] >> 4 != 6)
		return NT_CLASS_UNPARSED;
	next = at[6];
	NT_UNROLL
	for (int extensions = 0; extensions < NT_EXTENSIONS_MAX; extensions++) {
		if (!nt_is_extension(next))
			break;
		if (!nt_step(&at, end, bytes, NT_EXTENSION_BYTES))
			return NT_CLASS_UNPARSED;
		bytes = nt_extension_bytes(next, at);
		if (next == NT_IP_FRAGMENT && nt_load16(at + 2) & NT_BE16(0xFFF8))
			return nt_classify_fragment(at[0]);
		next = at[0];
	}
	if (next != NT_IP_UDP)
		return nt_is_extension(next) ? NT_CLASS_UNPARSED : NT_CLASS_FOREIGN;
	if (!nt_step(&at, end, bytes, NT_UDP_BYTES))
		return NT_CLASS_UNPARSED;
	headers->port = nt_load16(at + 2);
	return NT_CLASS_UDP;
}

#endif
