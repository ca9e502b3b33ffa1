/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What frames look like: Ethernet, IPv4 without options, UDP or TCP without options, and where they carry their
 * number and their time. The same as in maker.rs.
 *
 *   UDP   payload begins with a struct stamp
 *   TCP   payload (in a SYN: what pads the frame) begins with the number and bits 16 to 31 of the time; bits 0 to 15 are
 *         the datagram's identification, the mark is the window
 *   a SYN that opens a connection that data is to follow on: a window scale option, then bits 16 to 31 of the number; the
 *         identification is bits 0 to 15
 *   frames of a capture: a struct stamp after the datagram, with a sum of all before it
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IP_AT 14
#define L4_AT 34
#define UDP_PAYLOAD_AT 42
#define TCP_PAYLOAD_AT 54
#define SHORTEST 60
#define LONGEST 9018
/* Lengths of datagrams without payload; the rest of the frame pads them. */
#define BARE_TCP (TCP_PAYLOAD_AT - IP_AT)
#define OPENING_TCP (BARE_TCP + 4)
/* No operation, window scale, by its greatest shift. */
#define WINDOW_SCALE 0x0103030e

#define MODE_UDP 0
#define MODE_TCP 1
#define MODE_SYN 2
#define MODE_TRAILER 3

#define STAMP_MAGIC 0x5043
/* In a mark: this is an answer. */
#define ANSWER 0x4000

/* All in network byte order. The first field is STAMP_MAGIC, or the sum in a trailer. */
struct stamp {
	__be16 magic;
	__be16 mark;
	__be32 number;
	__be32 time_high;
	__be32 time_low;
} __attribute__((packed));

/* What a TCP segment's payload begins with. */
struct short_stamp {
	__be32 number;
	__be16 time_middle;
} __attribute__((packed));

/* What follows the TCP header of a SYN that opens a connection for data. */
struct opening {
	__be32 option;
	__be16 number_high;
} __attribute__((packed));

/* Sums are of 16-bit words as they lie in memory (RFC 1071: the byte order does not matter). */
static __always_inline __u16 folded(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline __u32 words_of(__u32 value)
{
	return (value & 0xffff) + (value >> 16);
}

static __always_inline __u32 sum_of(const void *data, int bytes)
{
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < bytes; i += 2)
		sum += *(const __u16 *)(data + i);
	return sum;
}

#endif
