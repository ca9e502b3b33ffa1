// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Both ends of a load for measurements: frames of ever other sources or flows, what counts and eats them, and what is compared with. */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Where frames go. */
const volatile __u32 egress = 0;
/* The sources: `first` | a number without order >> `bits`, any of `sources`. */
const volatile __u32 first = 0;
const volatile __u32 bits = 0;
const volatile __u32 sources = 1;

/* Lines that `one_line` takes its own from. */
const volatile __u32 line_count = 1;

__u32 turn = 0;
__u64 arrived = 0;

struct line {
	__u64 words[8];
};

/* Sized by whoever measures. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line);
} lines SEC(".maps");

/* The source, and the ports above it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u64);
} known SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} out SEC(".maps");

struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

/* The finaliser of splitmix64. */
static __always_inline __u64 mix(__u64 key)
{
	key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9ULL;
	key = (key ^ key >> 27) * 0x94d049bb133111ebULL;
	return key ^ key >> 31;
}

/* Whose turn it is, in an order that no prefetcher guesses. */
static __always_inline __u32 next(void)
{
	return (mix(turn++) >> 32) * sources >> 32;
}

/* Run by BPF_PROG_TEST_RUN over live frames of Ethernet and IPv4. The checksum stays as it is: nobody looks at it. */
SEC("xdp")
int scatter(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	__u32 number = next();

	if ((void *)(ip + 1) > end)
		return XDP_ABORTED;
	ip->saddr = bpf_htonl(first | number * 0x9e3779b1U >> bits);
	return bpf_redirect(egress, 0);
}

/* The same with ever other ports. */
SEC("xdp")
int scatter_flows(struct xdp_md *ctx)
{
	struct headers *frame = (void *)(long)ctx->data;
	__u32 number = next();

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	frame->udp.source = bpf_htons(10000 + (number & 0x3fff));
	frame->udp.dest = bpf_htons(7 + (number >> 14));
	return bpf_redirect(egress, 0);
}

/* Nothing but a redirect. */
SEC("xdp")
int bare_redirect(struct xdp_md *ctx)
{
	return bpf_redirect_map(&out, 0, XDP_DROP);
}

static __always_inline __u64 who(const struct xdp_md *ctx)
{
	struct headers *frame = (void *)(long)ctx->data;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return 0;
	return frame->ip.saddr | (__u64) * (__u32 *)(void *)&frame->udp.source << 32;
}

/* A line of memory that depends on who sends, in which something is counted: less than that nobody can do. */
SEC("xdp")
int one_line(struct xdp_md *ctx)
{
	__u32 at = (mix(who(ctx)) >> 32) * line_count >> 32;
	struct line *line = bpf_map_lookup_elem(&lines, &at);

	if (line)
		line->words[0]++;
	return XDP_DROP;
}

/* The kernel's own hash, in which something is counted. */
SEC("xdp")
int plain_hash(struct xdp_md *ctx)
{
	__u64 key = who(ctx), *count = bpf_map_lookup_elem(&known, &key);

	if (!count)
		return XDP_PASS;
	(*count)++;
	return XDP_DROP;
}

SEC("xdp")
int arrive(struct xdp_md *ctx)
{
	__sync_fetch_and_add(&arrived, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
