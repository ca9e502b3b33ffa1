// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Shows what `tuple.h` makes of a frame, for its tests: no part of the gate. */
#include <stddef.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "tuple.h"

/* Tells VLAN 0 from no tag; the bit is not of the id. */
#define VLAN_PRESENT 0x1000

/* What `tuple.rs` reads. */
struct shown {
	__u64 addresses[4];
	__u32 ports;
	__u16 vlans[VLAN_LAYERS]; /* outermost first: id | VLAN_PRESENT, or 0 */
	__u8 version;             /* 4 or 6; 0 without addresses */
	__u8 protocol;
	__u8 set;
	__u8 side;
	__u16 reserved;
	__u32 flags;
	__u32 length;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shown);
} seen SEC(".maps");

static __always_inline int show(struct xdp_md *ctx, int frags)
{
	__u32 zero = 0;
	struct shown *out = bpf_map_lookup_elem(&seen, &zero);
	struct parsed parsed = parse(ctx, frags, 7, 1);
	__u32 tags = parsed.kind >> 12 & 3;

	if (!out)
		return XDP_ABORTED;
	__builtin_memset(out, 0, sizeof(*out));
	out->addresses[0] = parsed.source[0];
	out->addresses[1] = parsed.source[1];
	out->addresses[2] = parsed.destination[0];
	out->addresses[3] = parsed.destination[1];
	out->ports = parsed.ports;
	if (tags > 0)
		out->vlans[0] = (parsed.ids & 0xfff) | VLAN_PRESENT;
	if (tags > 1)
		out->vlans[1] = (parsed.ids >> 12 & 0xfff) | VLAN_PRESENT;
	if (tags > 2)
		out->vlans[2] = (parsed.kind & 0xfff) | VLAN_PRESENT;
	if (parsed.flags & PARSED_ADDRESSES)
		out->version = parsed.kind & KIND_IPV6 ? 6 : 4;
	out->protocol = protocol_of(&parsed);
	out->set = parsed.ids >> 24;
	out->side = parsed.kind >> KIND_SIDE & 1;
	out->flags = parsed.flags;
	out->length = parsed.length;
	return is_plain(&parsed) ? XDP_PASS : XDP_DROP;
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
