// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* The least that can stand between two ports: everything leaves by the other one. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Set before loading: the interface whose peer is entry 1. */
const volatile __u32 first = 0;

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} out SEC(".maps");

/* Packets from the first port, and from the other one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} forwarded SEC(".maps");

SEC("xdp.frags")
int pass_on(struct xdp_md *ctx)
{
	__u32 other = ctx->ingress_ifindex == first;
	__u64 *count = bpf_map_lookup_elem(&forwarded, &other);

	if (count)
		(*count)++;
	return bpf_redirect_map(&out, other, XDP_DROP);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
