/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Who talks to whom, as far as a frame's headers tell at a bounded cost: Ethernet, up to three VLAN tags, IPv4 or
 * IPv6, TCP, UDP or an ICMP echo. What is not as plain as that says so in its flags, and whoever asked leaves it to
 * user space. Never reads beyond the frame's linear part, never fails.
 */
#ifndef PORTCULLIS_TUPLE_H
#define PORTCULLIS_TUPLE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "portcullis.h"
#include "maps.h"

#define VLAN_LAYERS 3
/* Tells VLAN 0 from no tag; the bit is not of the id. */
#define VLAN_PRESENT 0x1000

/*
 * One direction of a flow. Mirrored by `tuple.rs`. All 48 bytes count: they are compared as a whole. An IPv4 address is
 * in its mapped form (RFC 4291 section 2.5.5.2). The ports of an ICMP echo are its type and its code.
 */
struct tuple {
	__u8 source[16];
	__u8 destination[16];
	__be16 source_port;
	__be16 destination_port;
	__u16 vlans[VLAN_LAYERS]; /* outermost first: id | VLAN_PRESENT, or 0 */
	__u8 version;             /* 4 or 6 */
	__u8 protocol;
	__u8 set;  /* the inline set */
	__u8 side; /* which port of its pair the frame came in by: 0 or 1 */
	__u16 reserved;
};

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

struct parsed {
	struct tuple tuple;
	__u32 flags;  /* enum parsed_flags */
	__u32 length; /* of the whole frame */
};

/* May the tuple be looked up, to answer the frame in the kernel? */
static __always_inline int is_plain(const struct parsed *parsed)
{
	return (parsed->flags & (PARSED_PORTS | PARSED_FOR_USER_SPACE)) == PARSED_PORTS;
}

static __always_inline int is_tunnel_port(const struct tunnels *known, __be16 port)
{
	/* Both halves, for 53 and 4789 end alike; says "no" to nearly all. PortFilter in daemon/wire is made so, too. */
	__u16 number = bpf_ntohs(port), place = (number ^ number >> 6) & 63;

	if (!(known->filter >> place & 1))
		return 0;
	if (known->any)
		return 1;
	for (int i = 0; i < TUNNEL_PORTS; i++) {
		if (i < known->count && known->ports[i] == number)
			return 1;
	}
	return 0;
}

/* What IP carries, `length` bytes of it, from `at` on. */
static __always_inline void parse_transport(const void *at, const void *end, __u32 length, struct parsed *out)
{
	struct tuple *tuple = &out->tuple;

	if (tuple->protocol == IPPROTO_TCP) {
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
		tuple->source_port = tcp->source;
		tuple->destination_port = tcp->dest;
	} else if (tuple->protocol == IPPROTO_UDP) {
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
		tuple->source_port = udp->source;
		tuple->destination_port = udp->dest;
	} else {
		/* Only echoes: an error belongs to the flow it quotes, the rest is the network's own. */
		int is_four = tuple->version == 4;
		const __u8 *icmp = at;

		if (tuple->protocol != (is_four ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
			out->flags |= tuple->protocol == IPPROTO_IPIP || tuple->protocol == IPPROTO_IPV6 ||
						      tuple->protocol == IPPROTO_GRE
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
		tuple->source_port = bpf_htons(icmp[0]);
		tuple->destination_port = bpf_htons(icmp[1]);
	}
	out->flags |= PARSED_PORTS;
}

static __always_inline void parse_ipv4(const void *at, const void *end, __u32 room, struct parsed *out)
{
	const struct iphdr *ip = at;
	struct tuple *tuple = &out->tuple;
	__u32 total;

	if ((const void *)(ip + 1) > end || ip->version != 4) {
		out->flags |= PARSED_LENGTH;
		return;
	}
	tuple->source[10] = tuple->source[11] = 0xff;
	__builtin_memcpy(tuple->source + 12, &ip->saddr, 4);
	tuple->destination[10] = tuple->destination[11] = 0xff;
	__builtin_memcpy(tuple->destination + 12, &ip->daddr, 4);
	tuple->version = 4;
	tuple->protocol = ip->protocol;
	out->flags |= PARSED_ADDRESSES;
	total = bpf_ntohs(ip->tot_len);
	if (ip->ihl < 5 || total < ip->ihl * 4 || total > room) {
		out->flags |= PARSED_LENGTH;
		return;
	}
	if (ip->frag_off & bpf_htons(0x3fff))
		out->flags |= PARSED_FRAGMENT;
	if (ip->ihl > 5)
		out->flags |= PARSED_OPTIONS;
	if (!(out->flags & (PARSED_FRAGMENT | PARSED_OPTIONS)))
		parse_transport(ip + 1, end, total - sizeof(*ip), out);
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
	struct tuple *tuple = &out->tuple;
	__u32 length;

	if ((const void *)(ip + 1) > end || ip->version != 6) {
		out->flags |= PARSED_LENGTH;
		return;
	}
	__builtin_memcpy(tuple->source, &ip->saddr, 16);
	__builtin_memcpy(tuple->destination, &ip->daddr, 16);
	tuple->version = 6;
	tuple->protocol = ip->nexthdr;
	out->flags |= PARSED_ADDRESSES;
	length = bpf_ntohs(ip->payload_len);
	if (sizeof(*ip) + length > room) {
		out->flags |= PARSED_LENGTH;
		return;
	}
	if (is_extension(ip->nexthdr))
		out->flags |= ip->nexthdr == 44 ? PARSED_OPTIONS | PARSED_FRAGMENT : PARSED_OPTIONS;
	else
		parse_transport(ip + 1, end, length, out);
}

/*
 * Takes a frame's headers apart. `out` is all written. For both kinds of program, as `frags` says: what lies beyond the first buffer of a
 * frame of several is counted in lengths, but no header is looked for there.
 */
static __always_inline void parse(struct xdp_md *ctx, int frags, __u8 inline_set, __u8 side, struct parsed *out)
{
	const void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct ethhdr *eth = at;
	__be16 type;

	__builtin_memset(out, 0, sizeof(*out));
	out->tuple.set = inline_set;
	out->tuple.side = side;
	/* Without a call where there is but one buffer. */
	out->length = frags ? bpf_xdp_get_buff_len(ctx) : (__u64)(end - at);
	if ((const void *)(eth + 1) > end) {
		out->flags = PARSED_LENGTH;
		return;
	}
	type = eth->h_proto;
	at = eth + 1;
#pragma unroll
	for (int layer = 0; layer < VLAN_LAYERS; layer++) {
		const __be16 *tag = at;

		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD) && type != bpf_htons(ETH_P_QINQ1))
			break;
		if ((const void *)(tag + 2) > end) {
			out->flags = PARSED_LENGTH;
			return;
		}
		out->tuple.vlans[layer] = (bpf_ntohs(tag[0]) & 0xfff) | VLAN_PRESENT;
		type = tag[1];
		at = tag + 2;
	}
	/* What is left of the frame for IP. The verifier does not have to know that it is not below 0. */
	__u32 room = out->length - (__u32)(at - (void *)(long)ctx->data);

	if (type == bpf_htons(ETH_P_IP))
		parse_ipv4(at, end, room, out);
	else if (type == bpf_htons(ETH_P_IPV6))
		parse_ipv6(at, end, room, out);
	else
		out->flags = PARSED_UNKNOWN;
}

#endif
