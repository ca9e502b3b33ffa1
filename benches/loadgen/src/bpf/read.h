/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Reads the frames of a trial: whether they are of it, whether they are whole, what they carry. */
#ifndef READ_H
#define READ_H

#include "frame.h"

#define BLOCK 256
#define CHUNK 64

/* Set before loading. */
const volatile __u32 mode = MODE_UDP;
const volatile __u16 mark = 0;

/* What is known of a frame of ours. */
struct known {
	__u32 number;
	__u64 latency;
	/* Of the TCP segment. */
	__u32 payload;
	bool syn;
	bool ack;
};

struct summing {
	struct xdp_md *ctx;
	__u32 from;
	__u32 to;
	__u32 sum;
	bool failed;
};

/* Bytes of which there are at least so many, as a packet that begins in one buffer has them. Where they are, is not
 * counted on from round to round, for then the verifier would follow every single one. */
static long sum_block(__u32 index, void *context)
{
	struct summing *summing = context;
	void *data = (void *)(long)summing->ctx->data, *end = (void *)(long)summing->ctx->data_end;
	__u32 at = summing->from + index * BLOCK;
	__u8 chunk[CHUNK];

	if (at <= LONGEST && data + at + BLOCK <= end) {
		summing->sum = bpf_csum_diff(NULL, 0, data + at, BLOCK, summing->sum);
		return 0;
	}
	for (int i = 0; i < BLOCK; i += CHUNK) {
		if (bpf_xdp_load_bytes(summing->ctx, at + i, chunk, CHUNK)) {
			summing->failed = true;
			return 1;
		}
		summing->sum = bpf_csum_diff(NULL, 0, (__be32 *)chunk, CHUNK, summing->sum);
	}
	return 0;
}

/* What is left, less than a block. */
static long sum_chunk(__u32 index, void *context)
{
	struct summing *summing = context;
	__u32 at = summing->from + index * CHUNK, left = summing->to - at;
	__u8 chunk[CHUNK] = {};

	if (at >= summing->to)
		return 1;
	if (left > CHUNK)
		left = CHUNK;
	if (left < 1 || bpf_xdp_load_bytes(summing->ctx, at, chunk, left)) {
		summing->failed = true;
		return 1;
	}
	summing->sum = bpf_csum_diff(NULL, 0, (__be32 *)chunk, CHUNK, summing->sum);
	return 0;
}

/* Of the bytes from `from`, an even number, to before `to`. */
static __always_inline int sum_of_frame(struct xdp_md *ctx, __u32 from, __u32 to)
{
	struct summing summing = {.ctx = ctx, .from = from, .to = to};
	__u32 blocks = (to - from) / BLOCK;

	if (blocks) {
		bpf_loop(blocks, sum_block, &summing, 0);
		summing.from += blocks * BLOCK;
	}
	if (summing.from < to)
		bpf_loop(BLOCK / CHUNK, sum_chunk, &summing, 0);
	return summing.failed ? -1 : folded(summing.sum);
}

/* Are both checksums right? The lengths have been looked at. */
static __always_inline bool is_whole(struct xdp_md *ctx, struct iphdr *ip, void *end)
{
	__u16 length = bpf_ntohs(ip->tot_len);
	void *l4 = ip + 1;
	int sum;

	if (folded(sum_of(ip, sizeof(*ip))) != 0xffff)
		return false;
	/* Of the shortest frame, all at once. */
	if (length == SHORTEST - IP_AT && l4 + SHORTEST - L4_AT <= end)
		sum = folded(sum_of(l4, SHORTEST - L4_AT));
	else
		sum = sum_of_frame(ctx, L4_AT, IP_AT + length);
	return sum >= 0 && folded((__u64)sum + words_of(ip->saddr) + words_of(ip->daddr) + bpf_htons(ip->protocol) +
				  bpf_htons(length - sizeof(*ip))) == 0xffff;
}

#define FOREIGN 0
#define CORRUPT 1
#define OURS 2

/* Reads a frame of the trial that is marked so. */
static __always_inline int read_frame(struct xdp_md *ctx, __u16 marked, __u64 now, struct known *known)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = data + IP_AT;
	__u32 length = bpf_xdp_get_buff_len(ctx);

	if (data + SHORTEST > end || ethernet->h_proto != bpf_htons(ETH_P_IP) || *(__u8 *)ip != 0x45 ||
	    bpf_ntohs(ip->tot_len) < BARE_TCP || bpf_ntohs(ip->tot_len) + IP_AT > length)
		return FOREIGN;
	if (mode == MODE_UDP) {
		struct stamp *stamp = data + UDP_PAYLOAD_AT;

		if (ip->protocol != IPPROTO_UDP || stamp->magic != bpf_htons(STAMP_MAGIC) ||
		    stamp->mark != bpf_htons(marked))
			return FOREIGN;
		known->number = bpf_ntohl(stamp->number);
		known->latency = now - ((__u64)bpf_ntohl(stamp->time_high) << 32 | bpf_ntohl(stamp->time_low));
	} else {
		struct tcphdr *tcp = data + L4_AT;
		struct short_stamp *stamp = (void *)(tcp + 1);

		if (ip->protocol != IPPROTO_TCP || tcp->window != bpf_htons(marked))
			return FOREIGN;
		known->number = bpf_ntohl(stamp->number);
		known->latency =
			(__u32)now - ((__u32)bpf_ntohs(stamp->time_middle) << 16 | bpf_ntohs(ip->id));
		known->payload = bpf_ntohs(ip->tot_len) - (L4_AT - IP_AT) - tcp->doff * 4;
		known->syn = tcp->syn;
		known->ack = tcp->ack;
		if (mode == MODE_TCP && tcp->syn) {
			struct opening *opening = (void *)(tcp + 1);

			known->number = (__u32)bpf_ntohs(opening->number_high) << 16 | bpf_ntohs(ip->id);
		}
	}
	return is_whole(ctx, ip, end) ? OURS : CORRUPT;
}

static __always_inline int read_trailer(struct xdp_md *ctx, __u64 now, struct known *known)
{
	__u32 length = bpf_xdp_get_buff_len(ctx);
	struct stamp trailer;

	if (length < sizeof(trailer) || bpf_xdp_load_bytes(ctx, length - sizeof(trailer), &trailer, sizeof(trailer)) ||
	    trailer.mark != bpf_htons(mark))
		return FOREIGN;
	known->number = bpf_ntohl(trailer.number);
	known->latency = now - ((__u64)bpf_ntohl(trailer.time_high) << 32 | bpf_ntohl(trailer.time_low));
	return sum_of_frame(ctx, 0, length - sizeof(trailer)) == trailer.magic ? OURS : CORRUPT;
}

#endif
