// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Shows what `tuple.h` makes of a frame, for its tests: no part of the gate. */
#include <stddef.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "tuple.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct parsed);
} seen SEC(".maps");

static __always_inline int show(struct xdp_md *ctx, int frags)
{
	__u32 zero = 0;
	struct parsed *out = bpf_map_lookup_elem(&seen, &zero);

	if (!out)
		return XDP_ABORTED;
	parse(ctx, frags, 7, 1, out);
	return is_plain(out) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int probe(struct xdp_md *ctx)
{
	return show(ctx, 0);
}

SEC("xdp.frags")
int probe_frags(struct xdp_md *ctx)
{
	return show(ctx, 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
