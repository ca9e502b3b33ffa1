// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Receivers: `count` counts and eats, at the least cost; `receive` tells one frame from another by its number, and
 * answers; `returned` counts what comes back to the sender. All other frames go on to the host.
 */
#include "frame.h"
#include "read.h"

#define BUCKETS 1024

/* Set before loading. */
const volatile __u32 flows = 1;
/* Each so-and-so-many-th frame of a flow is answered; 0: none. */
const volatile __u32 answer_every = 0;
/* Numbers that there can be. */
const volatile __u64 numbers = 0;

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

struct times {
	/* The first and the last arrival, in ns. */
	__u64 first;
	__u64 last;
	/* Of how long frames took. */
	__u64 least;
	__u64 most;
	__u64 sum;
};

struct found {
	__u64 packets;
	__u64 bytes;
	__u64 duplicated;
	__u64 reordered;
	__u64 reordered_in_flow;
	__u64 furthest;
	__u64 corrupted;
	__u64 answers;
	/* Frames with numbers that nobody sent. */
	__u64 beyond;
	struct times times;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct found);
} found_map SEC(".maps");

/* Latencies, by bucket. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BUCKETS);
	__type(key, __u32);
	__type(value, __u64);
} latencies SEC(".maps");

/* Which numbers have arrived, a bit each. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

/* The number above the highest that has arrived, of each flow. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} flow_next SEC(".maps");

struct answered {
	__u64 packets;
	struct times times;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct answered);
} answered_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BUCKETS);
	__type(key, __u32);
	__type(value, __u64);
} round_trips SEC(".maps");

/* Which connections are open, a bit each. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} open_flows SEC(".maps");

/* The number above the highest that has arrived (NextExp of RFC 4737). */
__u32 next_expected = 0;

SEC("xdp.frags")
int count(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct counters *counters;
	__u32 zero = 0;

	if ((void *)(ip + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP) ||
	    (ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_TCP))
		return XDP_PASS;
	counters = bpf_map_lookup_elem(&received, &zero);
	if (!counters)
		return XDP_ABORTED;
	counters->packets++;
	counters->bytes += bpf_xdp_get_buff_len(ctx);
	return XDP_DROP;
}

/* Which bucket a value belongs into, as portcullis_trial::Histogram has it. Not inlined, so that its paths are verified
 * but once; as behind() below. */
__noinline int bucket_of(__u64 value)
{
	__u64 rest = value;
	__u32 log = 0, shift;

#pragma unroll
	for (int step = 32; step; step /= 2)
		if (rest >> step) {
			rest >>= step;
			log += step;
		}
	shift = log > 5 ? log - 5 : 0;
	rest = ((__u64)shift << 5) + (value >> shift);
	return rest < BUCKETS ? rest : BUCKETS - 1;
}

static __always_inline void note_time(void *buckets, struct times *times, __u64 now, __u64 latency)
{
	__u32 key = bucket_of(latency);
	__u64 *bucket = bpf_map_lookup_elem(buckets, &key);

	if (bucket)
		(*bucket)++;
	if (!times->first) {
		times->first = now;
		times->least = latency;
	}
	times->last = now;
	times->sum += latency;
	if (latency < times->least)
		times->least = latency;
	if (latency > times->most)
		times->most = latency;
}

/* How far below the number that is expected next a frame's is, 0 for not at all. Frames may arrive on several CPUs at
 * once. */
__noinline __u32 behind(__u32 number)
{
	__u32 next = *(volatile __u32 *)&next_expected, before;

	for (int i = 0; i < 16; i++) {
		if (number < next)
			return next - number;
		before = __sync_val_compare_and_swap(&next_expected, next, number + 1);
		if (before == next)
			return 0;
		next = before;
	}
	return 0;
}

static __always_inline bool behind_in_flow(__u32 number)
{
	__u32 slot = number % flows, *next = bpf_map_lookup_elem(&flow_next, &slot);

	if (!next)
		return false;
	if (number < *next)
		return true;
	*next = number + 1;
	return false;
}

/* A frame of ours that is whole; false if it came before. */
static __always_inline bool note(struct found *found, const struct known *known, __u64 now, __u32 length)
{
	__u32 index = known->number / 64, late;
	__u64 bit = 1ULL << (known->number & 63), *word = bpf_map_lookup_elem(&seen, &index);

	if (!word || known->number >= numbers) {
		found->beyond++;
		return false;
	}
	if (__sync_fetch_and_or(word, bit) & bit) {
		found->duplicated++;
		return false;
	}
	found->packets++;
	found->bytes += length;
	late = behind(known->number);
	if (late) {
		found->reordered++;
		if (late - 1 > found->furthest)
			found->furthest = late - 1;
	}
	if (behind_in_flow(known->number))
		found->reordered_in_flow++;
	note_time(&latencies, &found->times, now, known->latency);
	return true;
}

static __always_inline void turn_round(struct ethhdr *ethernet, struct iphdr *ip, __be16 *ports)
{
	__u8 address[ETH_ALEN];
	__be32 source = ip->saddr;
	__be16 port = ports[0];

	__builtin_memcpy(address, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, address, ETH_ALEN);
	ip->saddr = ip->daddr;
	ip->daddr = source;
	ports[0] = ports[1];
	ports[1] = port;
}

static __always_inline int answer_udp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct udphdr *udp = data + L4_AT;
	struct stamp *stamp = (void *)(udp + 1);

	if (data + SHORTEST > end)
		return XDP_DROP;
	turn_round(data, data + IP_AT, &udp->source);
	stamp->mark |= bpf_htons(ANSWER);
	udp->check = ~folded((__u16)~udp->check + bpf_htons(ANSWER)) ?: 0xffff;
	return XDP_TX;
}

/* Turns a segment into one without payload that acknowledges it, marked so. Its number and its time stay. */
static __always_inline int answer_tcp(struct xdp_md *ctx, const struct known *known, __u16 marked)
{
	/* A SYN is answered by one, a SYN with an acknowledgement by a mere acknowledgement. */
	bool syn = known->syn && !known->ack, scaled = syn && mode == MODE_TCP;
	__u16 l4_length = sizeof(struct tcphdr) + (scaled ? 4 : 0);
	__u32 length = bpf_xdp_get_buff_len(ctx), sum;
	void *data, *end;
	struct iphdr *ip;
	struct tcphdr *tcp;
	__be32 sequence;

	if (length > SHORTEST && bpf_xdp_adjust_tail(ctx, SHORTEST - (int)length))
		return XDP_DROP;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + SHORTEST > end)
		return XDP_DROP;
	ip = data + IP_AT;
	tcp = data + L4_AT;
	turn_round(data, ip, &tcp->source);
	ip->tot_len = bpf_htons(sizeof(*ip) + l4_length);
	ip->check = 0;
	ip->check = ~folded(sum_of(ip, sizeof(*ip)));
	sequence = tcp->ack_seq;
	tcp->ack_seq = bpf_htonl(bpf_ntohl(tcp->seq) + known->payload + known->syn);
	tcp->seq = syn ? bpf_htonl(1) : sequence;
	tcp->doff = l4_length / 4;
	tcp->syn = syn;
	tcp->ack = 1;
	tcp->psh = 0;
	tcp->window = bpf_htons(marked);
	tcp->check = 0;
	sum = sum_of(tcp, sizeof(*tcp)) + words_of(ip->saddr) + words_of(ip->daddr) + bpf_htons(IPPROTO_TCP) +
	      bpf_htons(l4_length);
	if (scaled)
		sum += sum_of(tcp + 1, 4);
	tcp->check = ~folded(sum);
	return XDP_TX;
}

SEC("xdp.frags")
int receive(struct xdp_md *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 zero = 0;
	struct known known = {};
	struct found *found = bpf_map_lookup_elem(&found_map, &zero);
	int state = mode == MODE_TRAILER ? read_trailer(ctx, now, &known) : read_frame(ctx, mark, now, &known);

	if (!found || state == FOREIGN)
		return XDP_PASS;
	if (state == CORRUPT) {
		found->corrupted++;
		return XDP_DROP;
	}
	/* What opens connections is not part of the load. */
	if (mode == MODE_TCP && known.syn)
		return answer_tcp(ctx, &known, mark | ANSWER);
	if (mode == MODE_TCP && !known.payload)
		return XDP_DROP;
	if (!note(found, &known, now, bpf_xdp_get_buff_len(ctx)) || !answer_every || mode == MODE_TRAILER)
		return XDP_DROP;
	if ((known.number / flows + 1) % answer_every)
		return XDP_DROP;
	found->answers++;
	return mode == MODE_UDP ? answer_udp(ctx) : answer_tcp(ctx, &known, mark | ANSWER);
}

/* Attached to the sender's interface. */
SEC("xdp.frags")
int returned(struct xdp_md *ctx)
{
	__u64 now = bpf_ktime_get_ns(), *word;
	__u32 zero = 0, index;
	struct known known = {};
	struct answered *answered = bpf_map_lookup_elem(&answered_map, &zero);

	if (!answered || mode == MODE_TRAILER || read_frame(ctx, mark | ANSWER, now, &known) != OURS)
		return XDP_PASS;
	if (mode == MODE_TCP && known.syn) {
		index = known.number / 64;
		word = bpf_map_lookup_elem(&open_flows, &index);
		if (!word)
			return XDP_DROP;
		__sync_fetch_and_or(word, 1ULL << (known.number & 63));
		return answer_tcp(ctx, &known, mark);
	}
	answered->packets++;
	note_time(&round_trips, &answered->times, now, known.latency);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
