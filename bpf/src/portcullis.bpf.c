// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The gate's XDP program: link-local control frames go to the peer port, everything else to the socket of
 * its queue, and where no socket stands the fail policy decides. Each frame is counted by what became of it.
 *
 * It uses no helper that is reserved for GPL programs.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "portcullis.h"

/* ifindex -> port of the set */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} port_of SEC(".maps");

/* port * settings.queues + rx queue -> socket; sized by the loader */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

/* port -> its peer's ifindex; empty where the set only listens */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/*
 * Frames that two neighbours exchange about the link itself, which a bump in the wire has to pass on although
 * no bridge would: IEEE 802.1Q table 8-1 (01:80:c2:00:00:0x: STP, LACP, EAPOL, LLDP, PTP peer delay) and PTP
 * over Ethernet (01:1b:19:00:00:00, IEEE 1588 annex E).
 */
static __always_inline int is_link_control(const struct ethhdr *eth)
{
	const __u8 *mac = eth->h_dest;

	if (mac[0] != 0x01)
		return 0;
	if (mac[1] == 0x80 && mac[2] == 0xc2 && mac[3] == 0 && mac[4] == 0)
		return (mac[5] & 0xf0) == 0;
	return mac[1] == 0x1b && mac[2] == 0x19 && mac[3] == 0 && mac[4] == 0 && mac[5] == 0;
}

/* To the peer port in the kernel, counted in `outcome` unless there is none. */
static __always_inline int to_peer(__u32 port, struct counters *count, __u64 *outcome)
{
	long action = bpf_redirect_map(&peers, port, XDP_DROP);

	if (action == XDP_REDIRECT)
		(*outcome)++;
	else
		count->no_peer++;
	return action;
}

static __always_inline int judge(struct xdp_md *ctx)
{
	const struct ethhdr *eth = (void *)(long)ctx->data;
	const void *end = (void *)(long)ctx->data_end;
	__u32 zero = 0, ifindex = ctx->ingress_ifindex, queue = ctx->rx_queue_index, slot, *known, port;
	struct settings *set = bpf_map_lookup_elem(&settings, &zero);
	struct counters *count;

	known = bpf_map_lookup_elem(&port_of, &ifindex);
	if (!set || !known) {
		count = bpf_map_lookup_elem(&counters, &zero);
		if (count)
			count->foreign++;
		return XDP_PASS;
	}
	port = *known;
	count = bpf_map_lookup_elem(&counters, &port);
	if (!count)
		return XDP_ABORTED; /* port_of holds a port above MAX_PORTS: cannot be */
	slot = port * set->queues + queue;

	if ((const void *)(eth + 1) <= end && is_link_control(eth)) {
		/*
		 * A closed gate without a worker is a cut wire: a neighbour that still heard STP or LACP over it
		 * would go on using it.
		 */
		if (set->fail != FAIL_OPEN &&
		    (queue >= set->queues || !bpf_map_lookup_elem(&sockets, &slot))) {
			count->closed++;
			return XDP_DROP;
		}
		return to_peer(port, count, &count->control);
	}

	if (queue < set->queues && bpf_redirect_map(&sockets, slot, XDP_DROP) == XDP_REDIRECT) {
		count->socket++;
		return XDP_REDIRECT;
	}
	if (set->fail == FAIL_OPEN)
		return to_peer(port, count, &count->uninspected);
	count->closed++;
	return XDP_DROP;
}

SEC("xdp")
int gate(struct xdp_md *ctx)
{
	return judge(ctx);
}

/* The same for frames of several buffers. A DEVMAP serves only one of the two: the loader picks. */
SEC("xdp.frags")
int gate_frags(struct xdp_md *ctx)
{
	return judge(ctx);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
