// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Both ends of a load: `send` gives a frame the ports of its flow and puts it on a wire, `sink` counts and
 * eats what arrives; and the least that can stand between them, `pass_on`.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Set before loading. */
const volatile __u32 egress = 0;
const volatile __u32 flows = 1;
/* The UDP checksum that is right while both ports are zero, plus 1 << 16; 0 is for frames without one. */
const volatile __u32 checksum = 0;
/* Time from one frame to the next; 0 is as fast as it goes. */
const volatile __u64 gap_nanos = 0;

/* The next frame's flow and its time. A sender runs on one CPU, so nobody else writes them. */
__u32 next_flow = 0;
__u64 next_due = 0;
/* Frames made so far: a test run that a signal ends does not tell. */
__u64 made = 0;

/* A frame waits 1.6 ms at most, at some 25 ns a look. */
#define MOST_LOOKS (1 << 16)
/* Further behind than this a sender does not try to catch up, so that it never floods the wire. */
#define CATCH_UP_NANOS 100000

struct counters {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} received SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} out SEC(".maps");

static long look_at_clock(__u32 look, void *context)
{
	return bpf_ktime_get_ns() >= next_due;
}

/* Spins, because a frame of a test run can not be put off, and a new test run for each group of frames
 * takes 20 ms to begin. */
static void wait_until_due(void)
{
	__u64 now = bpf_ktime_get_ns();

	if (now > next_due + CATCH_UP_NANOS)
		next_due = now;
	else
		bpf_loop(MOST_LOOKS, look_at_clock, NULL, 0);
	next_due += gap_nanos;
}

/* The UDP checksum after ports that were zero became ones of this sum; never zero, which would say that there is
 * none. The same as with_ports in frame.rs. */
static __u16 with_ports(__u32 ports)
{
	__u32 sum = (~checksum & 0xffff) + ports;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff ? sum : ~sum;
}

/* Run by BPF_PROG_TEST_RUN over live frames: Ethernet, IPv4 without options, UDP. */
SEC("xdp")
int send(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct udphdr *udp = data + sizeof(struct ethhdr) + sizeof(struct iphdr);
	__u32 flow = next_flow, source, target;

	if ((void *)(udp + 1) > end)
		return XDP_ABORTED;
	if (gap_nanos)
		wait_until_due();
	made++;
	next_flow = flow + 1 < flows ? flow + 1 : 0;
	/* The same numbering as Frame::for_flow in frame.rs. */
	source = 10000 + (flow & 0x3fff);
	target = 7 + (flow >> 14);
	udp->source = bpf_htons(source);
	udp->dest = bpf_htons(target);
	if (checksum)
		udp->check = bpf_htons(with_ports(source + target));
	return bpf_redirect(egress, 0);
}

/* Attached to the receiving interface: UDP over IPv4 ends here, the rest goes on to the host. */
SEC("xdp")
int sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct counters *counters;
	__u32 zero = 0;

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	if (ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	counters = bpf_map_lookup_elem(&received, &zero);
	if (!counters)
		return XDP_ABORTED;
	counters->packets++;
	counters->bytes += end - data;
	return XDP_DROP;
}

/* Attached between the two: everything leaves by the other port. */
SEC("xdp")
int pass_on(struct xdp_md *ctx)
{
	return bpf_redirect_map(&out, 0, XDP_DROP);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
