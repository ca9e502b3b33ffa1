/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Who talks to whom, as far as a frame's headers tell at a bounded cost: Ethernet, up to three VLAN tags, IPv4 or
 * IPv6, TCP, UDP or an ICMP echo. What is not as plain as that says so in its flags, and whoever asked leaves it to
 * user space. Never reads beyond the frame's linear part, never fails.
 */
#ifndef PORTCULLIS_TUPLE_H
#define PORTCULLIS_TUPLE_H

#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "portcullis.h"
#include "maps.h"

#define VLAN_LAYERS 3

enum parsed_flags {
	PARSED_ADDRESSES = 1 << 0, /* the tuple has addresses, version and protocol */
	PARSED_PORTS = 1 << 1,     /* and ports: all of it is there */
	/* Why the frame is for user space, whatever was decided about its flow. */
	PARSED_CONTROL = 1 << 2,  /* TCP with SYN, FIN or RST */
	PARSED_FRAGMENT = 1 << 3, /* more fragments, or an offset */
	PARSED_OPTIONS = 1 << 4,  /* IPv4 options, IPv6 extension headers */
	PARSED_TUNNEL = 1 << 5,   /* carries another packet, or may */
	PARSED_LENGTH = 1 << 6,   /* lengths that contradict each other or the frame's */
	PARSED_UNKNOWN = 1 << 7,  /* nothing that is understood here */
};

#define PARSED_FOR_USER_SPACE                                                                                          \
	(PARSED_CONTROL | PARSED_FRAGMENT | PARSED_OPTIONS | PARSED_TUNNEL | PARSED_LENGTH | PARSED_UNKNOWN)

/*
 * One direction of a flow, in the words that the verdict cache compares, and what there is to say of the frame. Each is
 * written whole and once: a word that is read back before its bytes have all reached the cache makes the processor wait
 * for everything before it, so that no frame's look-up would overlap with the next one's.
 */
struct parsed {
	/* As they stand in the frame; IPv4 in its mapped form (RFC 4291 section 2.5.5.2). */
	__u64 source[2], destination[2];
	__u32 ports;  /* source and destination, as they stand in the frame; of an ICMP echo its type and its code */
	__u32 ids;    /* outermost VLAN id, the next << 12, inline set << 24 */
	__u32 kind;   /* innermost VLAN id, number of tags << 12, protocol << 16, side << 24, is IPv6 << 25 */
	__u32 flags;  /* enum parsed_flags */
	__u32 length; /* of the whole frame */
	__u32 reserved;
};

/* Bits of `kind`. */
#define KIND_TAG (1 << 12)
#define KIND_PROTOCOL 16
#define KIND_SIDE 24
#define KIND_IPV6 (1 << 25)

static __always_inline __u8 protocol_of(const struct parsed *parsed)
{
	return parsed->kind >> KIND_PROTOCOL;
}

static __always_inline __be16 source_port(const struct parsed *parsed)
{
	return bpf_htons(bpf_ntohl(parsed->ports) >> 16);
}

static __always_inline __be16 destination_port(const struct parsed *parsed)
{
	return bpf_htons(bpf_ntohl(parsed->ports));
}

/* May the tuple be looked up, to answer the frame in the kernel? */
static __always_inline int is_plain(const struct parsed *parsed)
{
	return (parsed->flags & (PARSED_PORTS | PARSED_FOR_USER_SPACE)) == PARSED_PORTS;
}

/* Says "no" to nearly all that is none. */
static __always_inline int may_be_tunnel(const struct tunnels *known, __be16 port)
{
	/* Both halves, for 53 and 4789 end alike. PortFilter in daemon/wire is made so, too. */
	__u16 number = bpf_ntohs(port), place = (number ^ number >> 6) & 63;

	return known->filter >> place & 1;
}

static __always_inline int is_tunnel_port(const struct tunnels *known, __be16 port)
{
	__u16 number = bpf_ntohs(port);

	if (!may_be_tunnel(known, port))
		return 0;
	if (known->any)
		return 1;
	for (int i = 0; i < TUNNEL_PORTS; i++) {
		if (i < known->count && known->ports[i] == number)
			return 1;
	}
	return 0;
}

/* Two words of 16 bits as they follow each other in memory. */
static __always_inline __u32 both(__be16 first, __be16 second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return first | (__u32)second << 16;
#else
	return (__u32)first << 16 | second;
#endif
}

/* The second half of an address of IPv4 in its mapped form. */
static __always_inline __u64 mapped(__be32 address)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return 0xffff0000 | (__u64)address << 32;
#else
	return 0xffff00000000ULL | address;
#endif
}

/* What IP carries, `length` bytes of it, from `at` on. */
static __always_inline void parse_transport(const void *at, const void *end, __u32 length, __u8 protocol, int is_four,
					    struct parsed *out)
{
	if (protocol == IPPROTO_TCP) {
		const struct tcphdr *tcp = at;
		__u32 header;

		if (length < sizeof(*tcp) || (const void *)(tcp + 1) > end) {
			out->flags |= PARSED_LENGTH;
			return;
		}
		header = tcp->doff * 4;
		if (header < sizeof(*tcp) || header > length)
			out->flags |= PARSED_LENGTH;
		if (tcp->syn || tcp->fin || tcp->rst)
			out->flags |= PARSED_CONTROL;
		out->ports = *(const __u32 *)at;
	} else if (protocol == IPPROTO_UDP) {
		const struct udphdr *udp = at;
		__u32 stated, zero = 0;
		struct tunnels *known = bpf_map_lookup_elem(&tunnels, &zero);

		if (length < sizeof(*udp) || (const void *)(udp + 1) > end) {
			out->flags |= PARSED_LENGTH;
			return;
		}
		stated = bpf_ntohs(udp->len);
		if (stated < sizeof(*udp) || stated > length)
			out->flags |= PARSED_LENGTH;
		if (!known || is_tunnel_port(known, udp->source) || is_tunnel_port(known, udp->dest))
			out->flags |= PARSED_TUNNEL;
		out->ports = *(const __u32 *)at;
	} else {
		/* Only echoes: an error belongs to the flow it quotes, the rest is the network's own. */
		const __u8 *icmp = at;

		if (protocol != (is_four ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
			out->flags |= protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6 || protocol == IPPROTO_GRE
					      ? PARSED_TUNNEL
					      : PARSED_UNKNOWN;
			return;
		}
		if (length < 8 || (const void *)(icmp + 8) > end) {
			out->flags |= PARSED_LENGTH;
			return;
		}
		if (is_four ? icmp[0] != 0 && icmp[0] != 8 : icmp[0] != 128 && icmp[0] != 129)
			out->flags |= PARSED_UNKNOWN;
		out->ports = both(bpf_htons(icmp[0]), bpf_htons(icmp[1]));
	}
	out->flags |= PARSED_PORTS;
}

static __always_inline void parse_ipv4(const void *at, const void *end, __u32 room, struct parsed *out)
{
	const struct iphdr *ip = at;
	__u32 total, aside = 0;

	if ((const void *)(ip + 1) > end || ip->version != 4) {
		out->flags |= PARSED_LENGTH;
		return;
	}
	out->source[1] = mapped(ip->saddr);
	out->destination[1] = mapped(ip->daddr);
	out->kind |= (__u32)ip->protocol << KIND_PROTOCOL;
	out->flags |= PARSED_ADDRESSES;
	total = bpf_ntohs(ip->tot_len);
	if (ip->ihl < 5 || total < ip->ihl * 4 || total > room) {
		out->flags |= PARSED_LENGTH;
		return;
	}
	if (ip->frag_off & bpf_htons(0x3fff))
		aside |= PARSED_FRAGMENT;
	if (ip->ihl > 5)
		aside |= PARSED_OPTIONS;
	if (aside)
		out->flags |= aside;
	else
		parse_transport(ip + 1, end, total - sizeof(*ip), ip->protocol, 1, out);
}

/* Is this a header between IPv6 and what it carries (IANA's list)? */
static __always_inline int is_extension(__u8 next)
{
	return next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135 || next == 139 ||
	       next == 140 || next == 253 || next == 254;
}

static __always_inline void parse_ipv6(const void *at, const void *end, __u32 room, struct parsed *out)
{
	const struct ipv6hdr *ip = at;
	const __u64 *addresses = at + offsetof(struct ipv6hdr, saddr);
	__u32 length;

	if ((const void *)(ip + 1) > end || ip->version != 6) {
		out->flags |= PARSED_LENGTH;
		return;
	}
	out->source[0] = addresses[0];
	out->source[1] = addresses[1];
	out->destination[0] = addresses[2];
	out->destination[1] = addresses[3];
	out->kind |= (__u32)ip->nexthdr << KIND_PROTOCOL | KIND_IPV6;
	out->flags |= PARSED_ADDRESSES;
	length = bpf_ntohs(ip->payload_len);
	if (sizeof(*ip) + length > room) {
		out->flags |= PARSED_LENGTH;
		return;
	}
	if (is_extension(ip->nexthdr))
		out->flags |= ip->nexthdr == 44 ? PARSED_OPTIONS | PARSED_FRAGMENT : PARSED_OPTIONS;
	else
		parse_transport(ip + 1, end, length, ip->nexthdr, 0, out);
}

/*
 * Takes a frame's headers apart. For both kinds of program, as `frags` says: what lies beyond the first buffer of a
 * frame of several is counted in lengths, but no header is looked for there.
 */
static __always_inline struct parsed parse(struct xdp_md *ctx, int frags, __u8 inline_set, __u8 side)
{
	const void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct parsed out = {};
	__be16 type;
	__u32 room;

	out.ids = (__u32)inline_set << 24;
	out.kind = (__u32)side << KIND_SIDE;
	/* Without a call where there is but one buffer. */
	out.length = frags ? bpf_xdp_get_buff_len(ctx) : (__u64)(end - at);
	if (at + sizeof(struct ethhdr) > end) {
		out.flags = PARSED_LENGTH;
		return out;
	}
	/* Not by the struct, which is packed, so that it would be taken byte by byte. */
	type = *(const __be16 *)(at + offsetof(struct ethhdr, h_proto));
	at += sizeof(struct ethhdr);
#pragma unroll
	for (int layer = 0; layer < VLAN_LAYERS; layer++) {
		const __be16 *tag = at;
		__u32 id;

		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD) && type != bpf_htons(ETH_P_QINQ1))
			break;
		if ((const void *)(tag + 2) > end) {
			out.flags = PARSED_LENGTH;
			return out;
		}
		id = bpf_ntohs(tag[0]) & 0xfff;
		if (layer < 2)
			out.ids |= id << 12 * layer;
		else
			out.kind |= id;
		out.kind += KIND_TAG;
		type = tag[1];
		at = tag + 2;
	}
	/* What is left of the frame for IP. The verifier does not have to know that it is not below 0. */
	room = out.length - (__u32)(at - (void *)(long)ctx->data);
	if (type == bpf_htons(ETH_P_IP))
		parse_ipv4(at, end, room, &out);
	else if (type == bpf_htons(ETH_P_IPV6))
		parse_ipv6(at, end, room, &out);
	else
		out.flags = PARSED_UNKNOWN;
	return out;
}

/* Is there a header of IPv4 right behind that of Ethernet, without any tag? */
static __always_inline int is_untagged_ipv4(const void *at, const void *end)
{
	const struct iphdr *ip = at + sizeof(struct ethhdr);

	return (const void *)(ip + 1) <= end &&
	       *(const __be16 *)(at + offsetof(struct ethhdr, h_proto)) == bpf_htons(ETH_P_IP) && ip->version == 4;
}

/*
 * `parse` for what most frames are: TCP or UDP over IPv4 without tags, with nothing about it that is for user space, in one
 * buffer. Does nothing and says so for any other. Fewer steps for each frame are worth more than they take: a processor looks
 * but so many steps ahead, and only where the next frame's look-up is among them do the two wait for memory at the same time.
 */
static __always_inline int parse_plain(struct xdp_md *ctx, __u8 inline_set, __u8 side, struct parsed *out)
{
	const void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct iphdr *ip = at + sizeof(struct ethhdr);
	const void *inner = ip + 1;
	__u32 total, zero = 0;

	if (!is_untagged_ipv4(at, end) || ip->ihl != 5 || ip->frag_off & bpf_htons(0x3fff))
		return 0;
	total = bpf_ntohs(ip->tot_len);
	out->length = (__u64)(end - at);
	if (total > out->length - sizeof(struct ethhdr))
		return 0;
	if (ip->protocol == IPPROTO_TCP) {
		const struct tcphdr *tcp = inner;

		if ((const void *)(tcp + 1) > end || tcp->doff < 5 || sizeof(*ip) + tcp->doff * 4 > total || tcp->syn ||
		    tcp->fin || tcp->rst)
			return 0;
	} else if (ip->protocol == IPPROTO_UDP) {
		const struct udphdr *udp = inner;
		const struct tunnels *known = bpf_map_lookup_elem(&tunnels, &zero);
		__u32 stated;

		if ((const void *)(udp + 1) > end || !known)
			return 0;
		stated = bpf_ntohs(udp->len);
		if (stated < sizeof(*udp) || sizeof(*ip) + stated > total || may_be_tunnel(known, udp->source) ||
		    may_be_tunnel(known, udp->dest))
			return 0;
	} else {
		return 0;
	}
	out->source[0] = out->destination[0] = 0;
	out->source[1] = mapped(ip->saddr);
	out->destination[1] = mapped(ip->daddr);
	out->ports = *(const __u32 *)inner;
	out->ids = (__u32)inline_set << 24;
	out->kind = (__u32)ip->protocol << KIND_PROTOCOL | (__u32)side << KIND_SIDE;
	out->flags = PARSED_ADDRESSES | PARSED_PORTS;
	return 1;
}

#endif
