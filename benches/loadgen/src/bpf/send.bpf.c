// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Senders: `send` makes frames and puts them on a wire, `stamp` makes what another program sends into the frames that
 * `send` would send, `trail` gives another program's frames a trailer.
 */
#include <linux/pkt_cls.h>
#include "frame.h"

/* Powers of two, and what is used of them. */
#define CLASSES 4
#define ORDER 16
#define SEQUENCE 12
/* Ports of a flow are 10000 to 26383 and 7 to 65526. */
#define MOST_FLOWS (0x4000 * 0xfff0ULL)
/* Times of day are kept in 1/256 ns, so that rates are exact. */
#define FRACTION 8

/* Frames of one length. */
struct class {
	__u32 length;
	/* Of the payload after the stamp. */
	__u32 payload_sum;
};

/* Set before loading. */
const volatile __u32 egress = 0;
const volatile __u32 mode = MODE_UDP;
const volatile __u16 mark = 0;
/* Requests to open the flows' connections are sent, one for each that is not open. */
const volatile __u32 opening = 0;
const volatile __u32 flows = 1;
const volatile __u32 first_flow = 0;
/* New flows by packet, in 1/2^32. */
const volatile __u64 churn = 0;
const volatile __u32 sources = 1;
/* Ethernet, IP and UDP or TCP; lengths, ports, source address, identification, sequence number and checksums are 0. */
const volatile __u8 header[56] __attribute__((aligned(8))) = {};
/* In host byte order. */
const volatile __u32 source = 0;
/* Of the IP header; of the pseudo header (without source and length) and the UDP or TCP header. */
const volatile __u32 ip_sum = 0;
const volatile __u32 l4_sum = 0;
const volatile struct class classes[CLASSES] = {};
const volatile __u32 class_count = 1;
/* Of what the test run is given. */
const volatile __u32 longest = 0;
/* Which class each frame has, again and again. */
const volatile __u8 order[ORDER] = {};
/* Time from one frame to the next and from a burst's end to the next one's beginning; frames of a burst, 0 for none. */
const volatile __u64 gap = 0;
/* Further behind than this a sender does not try to catch up, so that it never floods the wire. */
const volatile __u64 catch_up = 0;
const volatile __u32 burst = 0;
const volatile __u64 pause_time = 0;
/* When it ends: nanoseconds after the first frame, or frames. */
const volatile __u64 duration = 0;
const volatile __u64 limit = 0;

/* One sender runs on one CPU, so nobody else writes it. */
struct progress {
	__u64 made;
	__u64 bytes;
	/* Of the first frame and of the last, in ns. */
	__u64 first;
	__u64 last;
	__u64 due;
	__u32 in_burst;
	/* Nothing more is sent. */
	__u32 over;
	/* Frames that could not be given a stamp. */
	__u64 unfit;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct progress);
} progress_map SEC(".maps");

/* The next sequence number of each flow's connection. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sequences SEC(".maps");

/* Which connections are open: written by the receiving end. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} open_flows SEC(".maps");

/* Is a frame due? Then it is counted on. */
static __always_inline bool is_due(struct progress *progress, __u64 now)
{
	__u64 time = now << FRACTION;

	if (!progress->first) {
		progress->first = now;
		progress->due = time;
	}
	if (progress->over || progress->made >= limit || now - progress->first >= duration) {
		progress->over = 1;
		return false;
	}
	if (!gap && !burst)
		return true;
	if (time < progress->due)
		return false;
	if (time - progress->due > catch_up)
		progress->due = time;
	progress->due += gap;
	if (burst && ++progress->in_burst == burst) {
		progress->in_burst = 0;
		progress->due = time + pause_time;
	}
	return true;
}

static __always_inline bool is_open(__u32 flow)
{
	__u32 index = flow / 64;
	__u64 *word = bpf_map_lookup_elem(&open_flows, &index);

	return word && *word >> (flow & 63) & 1;
}

/* Each frame has its flow's turn; after 1 / churn turns, a new flow has them. The same as in maker.rs. */
static __always_inline __u32 flow_of(__u32 number)
{
	__u32 slot = number % flows, turn = number / flows;
	__u32 phase = slot * 0x9e3779b9;
	__u64 generation = (turn * churn + phase) >> 32;

	return (first_flow + slot + generation * flows) % MOST_FLOWS;
}

/* All of it; where UDP has no more header, its stamp follows. */
static __always_inline void copy_header(void *data)
{
#pragma unroll
	for (int i = 0; i < 48; i += 8)
		*(__u64 *)(data + i) = *(const volatile __u64 *)(header + i);
	*(__u32 *)(data + 48) = *(const volatile __u32 *)(header + 48);
	*(__u16 *)(data + 52) = *(const volatile __u16 *)(header + 52);
}

/* Makes a frame of `length` bytes of what is there: all but its payload after the stamp. False if it has no room. */
static __always_inline bool make(void *data, void *end, __u32 length, __u32 payload_sum, __u32 number, __u64 now)
{
	__u32 flow = flow_of(number);
	__be32 address = bpf_htonl(source + flow % sources);
	__be16 ports[2] = {bpf_htons(10000 + (flow & 0x3fff)), bpf_htons(7 + (flow >> 14))};
	__be16 ip_length = bpf_htons(opening ? OPENING_TCP : mode == MODE_SYN ? BARE_TCP : length - IP_AT);
	__be16 l4_length = bpf_htons(bpf_ntohs(ip_length) - (L4_AT - IP_AT));
	struct iphdr *ip = data + IP_AT;
	__u32 sum = l4_sum + words_of(address) + ports[0] + ports[1] + l4_length;

	if (data + SHORTEST > end)
		return false;
	copy_header(data);
	ip->tot_len = ip_length;
	ip->saddr = address;
	if (mode == MODE_UDP) {
		struct udphdr *udp = data + L4_AT;
		struct stamp *stamp = (void *)(udp + 1);

		stamp->magic = bpf_htons(STAMP_MAGIC);
		stamp->mark = bpf_htons(mark);
		stamp->number = bpf_htonl(number);
		stamp->time_high = bpf_htonl(now >> 32);
		stamp->time_low = bpf_htonl(now);
		udp->source = ports[0];
		udp->dest = ports[1];
		udp->len = l4_length;
		sum += l4_length + payload_sum + stamp->magic + stamp->mark + words_of(stamp->number) +
		       words_of(stamp->time_high) + words_of(stamp->time_low);
		/* Zero would say that there is none (RFC 768). */
		udp->check = ~folded(sum) ?: 0xffff;
		ip->id = 0;
	} else {
		struct tcphdr *tcp = data + L4_AT;
		struct short_stamp *stamp = (void *)(tcp + 1);
		__u32 slot = number % flows, *sequence;

		if (opening) {
			struct opening *opening = (void *)(tcp + 1);

			opening->option = bpf_htonl(WINDOW_SCALE);
			opening->number_high = bpf_htons(number >> 16);
			ip->id = bpf_htons(number);
			sum += words_of(opening->option);
		} else {
			stamp->number = bpf_htonl(number);
			stamp->time_middle = bpf_htons(now >> 16);
			ip->id = bpf_htons(now);
		}
		tcp->source = ports[0];
		tcp->dest = ports[1];
		tcp->seq = bpf_htonl(1);
		if (mode == MODE_TCP && !opening) {
			sequence = bpf_map_lookup_elem(&sequences, &slot);
			if (sequence) {
				tcp->seq = bpf_htonl(2 + *sequence);
				*sequence += length - TCP_PAYLOAD_AT;
			}
			sum += payload_sum + words_of(stamp->number) + stamp->time_middle;
		}
		sum += words_of(tcp->seq);
		tcp->check = ~folded(sum);
	}
	ip->check = ~folded(ip_sum + ip->tot_len + ip->id + words_of(address));
	return true;
}

/* Run by BPF_PROG_TEST_RUN over live frames. What is not due yet is not sent: that takes less than any way to wait. */
SEC("xdp")
int send(struct xdp_md *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 zero = 0, number, class = 0, length;
	struct progress *progress = bpf_map_lookup_elem(&progress_map, &zero);

	if (!progress || !is_due(progress, now))
		return XDP_DROP;
	number = progress->made;
	if (opening && is_open(number)) {
		progress->made++;
		return XDP_DROP;
	}
	if (class_count > 1) {
		class = number % SEQUENCE;
		/* The compiler knows that it is small enough, the verifier does not. */
		asm volatile("" : "+r"(class));
		class = order[class % ORDER] % CLASSES;
	}
	length = classes[class].length;
	if (length != longest && bpf_xdp_adjust_tail(ctx, (int)length - (int)longest))
		return XDP_ABORTED;
	if (!make((void *)(long)ctx->data, (void *)(long)ctx->data_end, length, classes[class].payload_sum, number, now))
		return XDP_ABORTED;
	progress->made++;
	progress->bytes += length;
	progress->last = now;
	return bpf_redirect(egress, 0);
}

/* Where other programs' frames leave. */
SEC("tc")
int stamp(struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 zero = 0, length = skb->len, class;
	struct progress *progress = bpf_map_lookup_elem(&progress_map, &zero);

	if (!progress)
		return TC_ACT_SHOT;
	for (class = 0; class < CLASSES; class++)
		if (classes[class].length == length)
			break;
	/* Something else that leaves here. */
	if (class == CLASSES)
		return TC_ACT_OK;
	if (!is_due(progress, now))
		return TC_ACT_SHOT;
	bpf_skb_pull_data(skb, SHORTEST);
	if (!make((void *)(long)skb->data, (void *)(long)skb->data_end, length, classes[class].payload_sum,
		  progress->made, now)) {
		progress->unfit++;
		return TC_ACT_SHOT;
	}
	progress->made++;
	progress->bytes += length;
	progress->last = now;
	return TC_ACT_OK;
}

#define CHUNK 64
#define CHUNKS (LONGEST / CHUNK + 1)

/* Of the first `length` bytes. */
__noinline int sum_of_frame(struct __sk_buff *skb, __u32 length)
{
	__u8 chunk[CHUNK];
	__u32 at = 0, left, sum = 0;

	for (int i = 0; i < CHUNKS && at < length; i++, at += CHUNK) {
		left = length - at;
		if (left < CHUNK)
			__builtin_memset(chunk, 0, CHUNK);
		else
			left = CHUNK;
		if (left < 1 || left > CHUNK || bpf_skb_load_bytes(skb, at, chunk, left))
			return -1;
		sum = bpf_csum_diff(NULL, 0, (__be32 *)chunk, CHUNK, sum);
	}
	return folded(sum);
}

SEC("tc")
int trail(struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 zero = 0, length = skb->len;
	struct progress *progress = bpf_map_lookup_elem(&progress_map, &zero);
	struct stamp trailer = {.mark = bpf_htons(mark)};
	int sum;

	if (!progress || !is_due(progress, now))
		return TC_ACT_SHOT;
	sum = sum_of_frame(skb, length);
	if (sum < 0 || bpf_skb_change_tail(skb, length + sizeof(trailer), 0)) {
		progress->unfit++;
		return TC_ACT_SHOT;
	}
	trailer.magic = sum;
	trailer.number = bpf_htonl(progress->made);
	trailer.time_high = bpf_htonl(now >> 32);
	trailer.time_low = bpf_htonl(now);
	if (bpf_skb_store_bytes(skb, length, &trailer, sizeof(trailer), 0)) {
		progress->unfit++;
		return TC_ACT_SHOT;
	}
	progress->made++;
	progress->bytes += length + sizeof(trailer);
	progress->last = now;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
