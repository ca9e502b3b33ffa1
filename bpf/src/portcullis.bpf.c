// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The gate's XDP program: link-local control frames go to the peer port, what the lists decide goes as they say, flows
 * that are decided where they were decided to go, everything else to the socket of its queue. Where no live worker
 * stands behind that, the fail policy decides; where it has its hands full, the
 * overload policy. Each frame is counted by what became of it.
 *
 * It uses no helper that is reserved for GPL programs.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "portcullis.h"
#include "maps.h"
#include "liveness.h"
#include "cache.h"
#include "lists.h"
#include "passed.h"

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

/*
 * Coarse monotonic time, which only a tick changes: asked for once a tick and CPU. The answer takes some calls, and on a
 * processor that mistrusts its own prediction of returns each of them keeps frames from overlapping. It may be late by
 * a tick, where that comes while another CPU is just moving the time on.
 */
static __always_inline __u64 time_of_tick(struct counters *count)
{
	__u64 tick = bpf_jiffies64();

	if (count->tick != tick) {
		count->time = bpf_ktime_get_coarse_ns();
		count->tick = tick;
	}
	return count->time;
}

/* Is the set's panic switch on? It has a map of its own, for another process than the supervisor may set it. */
static __always_inline int is_switched(const struct settings *set, __u64 now)
{
	__u32 inline_set = set->inline_set;
	__u64 *until = bpf_map_lookup_elem(&panic_switch, &inline_set);

	return until && *until > now;
}

/* The fail policy of a slot. */
static __always_inline __u32 policy_of(const struct settings *set, const struct pulse *pulse)
{
	return pulse && pulse->latched ? set->latched_fail : set->fail;
}

/* What the lists decide, whether or not a worker lives: XDP_PASS where they leave the frame to the others. */
static __always_inline int by_lists(struct xdp_md *ctx, const struct parsed *parsed, __u32 generation, __u32 port,
				    struct counters *count, __u64 now)
{
	switch (look_up_lists(ctx, parsed, generation, port, now)) {
	case LIST_BYPASSED:
		return to_peer(port, count, &count->list_bypassed);
	case LIST_IGNORED:
		count->list_bypassed++;
		return XDP_DROP;
	case LIST_BLOCKED:
		count->list_blocked++;
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

/* To the peer port, though nobody has judged it. */
static __always_inline int unjudged(struct xdp_md *ctx, const struct settings *set, __u32 port,
				    struct counters *count, __u64 *outcome, __u64 now)
{
	note_passed(ctx, set->inline_set, now);
	return to_peer(port, count, outcome);
}

/* To the peer port, because the panic switch is on: a worker that lives all the while has to know that it missed frames. */
static __always_inline int pass_switched(struct xdp_md *ctx, const struct settings *set, __u32 port, __u32 queue,
					 struct counters *count, __u64 now)
{
	__u32 slot = port * set->queues + queue;
	struct pulse *pulse = queue < set->queues ? bpf_map_lookup_elem(&pulses, &slot) : NULL;

	if (pulse) {
		note_unseen(pulse, now);
		pulse->blind_passed++;
	}
	return unjudged(ctx, set, port, count, &count->switched, now);
}

/* What the fail policy makes of a frame that nobody saw. */
static __always_inline int fail(struct xdp_md *ctx, struct settings *set, struct pulse *pulse, __u32 port, int worker,
				struct counters *count, __u64 now)
{
	if (worker == WORKER_STALE)
		count->stale++;
	else
		count->no_socket++;
	if (policy_of(set, pulse) == FAIL_OPEN) {
		if (pulse)
			pulse->blind_passed++;
		return unjudged(ctx, set, port, count, &count->uninspected, now);
	}
	count->closed++;
	return XDP_DROP;
}

static __always_inline int drop_cached(struct cached *cached, __u32 length, struct counters *count)
{
	count_cached(cached, length);
	count->cache_dropped++;
	return XDP_DROP;
}

static __always_inline int pass_cached(struct cached *cached, __u32 length, __u32 port, struct counters *count)
{
	int action = to_peer(port, count, &count->cache_passed);

	if (action == XDP_REDIRECT)
		count_cached(cached, length);
	return action;
}

/* Where the settings of the port are that an interface is; NULL where it is none. */
static __always_inline const struct port_place *port_place(__u32 ifindex)
{
	__u32 at = ifindex % PORT_PLACES;

	for (int i = 0; i < MAX_PORTS; i++) {
		const struct port_place *place = bpf_map_lookup_elem(&port_of, &at);

		if (!place || !place->ifindex)
			return NULL;
		if (place->ifindex == ifindex)
			return place;
		at = (at + 1) % PORT_PLACES;
	}
	return NULL;
}

/* Does the fail policy pass everything on, whatever the state of a worker? Then nobody has to ask for it. */
static __always_inline int is_open(const struct settings *set)
{
	return set->fail == FAIL_OPEN && set->latched_fail == FAIL_OPEN;
}

static __always_inline int judge(struct xdp_md *ctx, int frags)
{
	const struct ethhdr *eth = (void *)(long)ctx->data;
	const void *end = (void *)(long)ctx->data_end;
	__u32 zero = 0, queue = ctx->rx_queue_index, slot, port;
	const struct port_place *place = port_place(ctx->ingress_ifindex);
	const struct cache_header *cache;
	struct settings *set = NULL;
	struct pulse *pulse = NULL;
	struct counters *count;
	int is_control, action, worker = WORKER_ABSENT;
	struct cached *cached = NULL;
	struct parsed parsed;
	__u32 listing, length = 0;
	__u64 now;

	if (place) {
		port = place->port;
		set = bpf_map_lookup_elem(&settings, &port);
	}
	if (!set) {
		count = bpf_map_lookup_elem(&counters, &zero);
		if (count)
			count->foreign++;
		return XDP_PASS;
	}
	count = bpf_map_lookup_elem(&counters, &port);
	if (!count)
		return XDP_ABORTED; /* port_of holds a port above MAX_PORTS: cannot be */
	now = time_of_tick(count);
	if (is_switched(set, now))
		return pass_switched(ctx, set, port, queue, count, now);

	is_control = (const void *)(eth + 1) <= end && is_link_control(eth);
	cache = is_control ? NULL : cache_in_force();
	listing = is_control ? 0 : lists_in_force();
	if (listing) {
		struct parsed shown = {};

		if (!parse_for_lists(ctx, frags, listing, &shown))
			shown = parse(ctx, frags, set->inline_set, port & 1);
		action = by_lists(ctx, &shown, listing, port, count, now);
		if (action != XDP_PASS)
			return action;
	}
	/* What most frames are, in the place where most entries are; whatever is not found so is looked for thoroughly. */
	if (cache && !frags && parse_plain(ctx, set->inline_set, port & 1, &parsed)) {
		length = parsed.length;
		cached = look_up_cache(&parsed, cache, now, 1);
		if (cached && is_cached_drop(cached))
			return drop_cached(cached, length, count);
		if (cached && is_open(set))
			return pass_cached(cached, length, port, count);
	}
	if (cache && !cached) {
		parsed = parse(ctx, frags, set->inline_set, port & 1);
		length = parsed.length;
		cached = look_up_cache(&parsed, cache, now, 0);
		/* What was condemned stays so, whether a worker lives or not. */
		if (cached && is_cached_drop(cached))
			return drop_cached(cached, length, count);
		if (cached && is_open(set))
			return pass_cached(cached, length, port, count);
	}

	now = bpf_ktime_get_coarse_ns();
	slot = port * set->queues + queue;
	if (queue < set->queues) {
		pulse = bpf_map_lookup_elem(&pulses, &slot);
		if (pulse)
			worker = state_of_worker(set, pulse, slot, now);
	}
	if (is_control && (worker <= WORKER_BUSY || set->fail == FAIL_OPEN))
		return to_peer(port, count, &count->control);
	/* A closed gate without a worker is shut, also to what need not be inspected. A busy worker is none the less there. */
	if (cached && (worker <= WORKER_BUSY || policy_of(set, pulse) == FAIL_OPEN))
		return pass_cached(cached, length, port, count);
	/*
	 * A closed gate without a worker is a cut wire: a neighbour that still heard STP or LACP over it would go on
	 * using it. So control frames fall through to the policy.
	 */
	if (worker >= WORKER_STALE) {
		if (pulse)
			note_blind(set, pulse, now);
		return fail(ctx, set, pulse, port, worker, count, now);
	}
	if (pulse && pulse->blind_since)
		close_window(pulse, port, queue);
	if (worker == WORKER_BUSY) {
		if (set->overload == OVERLOAD_BYPASS)
			return unjudged(ctx, set, port, count, &count->overload_bypassed, now);
		count->overload_dropped++;
		return XDP_DROP;
	}
	if (bpf_redirect_map(&sockets, slot, XDP_DROP) != XDP_REDIRECT)
		return fail(ctx, set, pulse, port, WORKER_ABSENT, count, now); /* it went just now */
	if (pulse)
		pulse->offered++;
	count->socket++;
	return XDP_REDIRECT;
}

SEC("xdp")
int gate(struct xdp_md *ctx)
{
	return judge(ctx, 0);
}

/* The same for frames of several buffers. A DEVMAP serves only one of the two: the loader picks. */
SEC("xdp.frags")
int gate_frags(struct xdp_md *ctx)
{
	return judge(ctx, 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
