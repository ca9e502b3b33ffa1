/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Static bypasses, the allow-list and the blocklists.
 *
 * All of them are in one array of cache lines that user space maps and writes: a line that says which of two
 * generations is in force, and the generations, each whole. So a reload takes no system call here, allocates and frees
 * nothing, and no frame sees half of it. `lists/image.rs` makes the generations and says the same in Rust.
 *
 * An entry is a network with a mark for each list that all of its addresses are on, and the longest network around an
 * address decides. Of IPv4, a byte a /24 tells the marks of the network around it, if that is not longer, and whether
 * there are longer ones in it. These, and all of IPv6, are found by hashing the address cut to each length that occurs
 * around there, as a byte or a word a /16 tells. A bucket is one cache line, and an entry is in one of two: in the
 * second only where the first is full.
 *
 * What is looked up is nearly never in a cache, so everything is done that lets the processor go on to the next frame
 * meanwhile: the places of memory to look at follow from the address alone, and whether an entry is the one is not told
 * by branches, of which it would guess one in every bucket wrong.
 */
#ifndef PORTCULLIS_LISTS_H
#define PORTCULLIS_LISTS_H

#include <bpf/bpf_endian.h>
#include "portcullis.h"
#include "maps.h"
#include "tuple.h"

/* Lines of a generation, from its first. */
#define LIST_BYPASS 1                             /* two a rule */
#define LIST_AROUND4 (LIST_BYPASS + 2 * BYPASS_RULES) /* a byte a /24 */
#define LIST_KINDS4 (LIST_AROUND4 + 262144)       /* words of 32 bits: marks, by that byte without LIST_LONGER */
#define LIST_LENGTHS4 (LIST_KINDS4 + 8)           /* a byte a /16: /32 is bit 0, /25 bit 7 */
#define LIST_SHORT6 (LIST_LENGTHS4 + 1024)        /* a word of 32 bits a /16 for what is not longer than /32, which is bit 0 */
#define LIST_LONG6 (LIST_SHORT6 + 4096)           /* two of 64 bits for each hash of a /32 */
#define LIST_BUCKETS (LIST_LONG6 + 16384)

#define LIST_MARKS 0xffffff

/* There are networks longer than /24 here. */
#define LIST_LONGER 0x80

/* A generation's first line. */
struct list_header {
	__u32 buckets4; /* they begin at LIST_BUCKETS */
	__u32 buckets6; /* and these behind them */
	__u64 seed;
	__u32 sources;      /* marks of the lists that sources are looked up in */
	__u32 destinations; /* the same for destinations */
	__u32 drop;         /* marks of the lists that drop */
	__u32 allow;        /* marks of the lists that exempt from the others */
	__u32 bypasses;     /* rules */
	__u32 sample_every; /* one frame in so many becomes a sample; 0: none does */
	__u32 sample_most;  /* at most so many a second, a list and a CPU */
	__u32 entries;      /* 0: no address needs to be looked up */
	__u32 forward;      /* do frames leave through the peer port? */
	__u32 reserved[3];
};

/* A bypass, in two lines: either end is within one of the networks, and the other end within the other. */
struct bypass_nets {
	__u64 network[2], network_mask[2], peer[2], peer_mask[2];
};

struct bypass_ports {
	__u16 protocol; /* 256: any */
	__u16 first;    /* of the ports that one end must have; 0 to 65535 means any, or none */
	__u16 last;
	__u16 reserved[29];
};

/* Three entries of IPv6 in a line. */
struct list_bucket6 {
	__u64 net[3][2];
	__u32 meta[3]; /* length << 24 | marks; 0: free */
	__u32 reserved;
};

struct address {
	__u64 high, low;
};

static __always_inline void *list_line(__u32 line)
{
	return bpf_map_lookup_elem(&lists, &line);
}

/* The number of the lowest bit that is set. By hand: clang 14 crashes on its own built-in for BPF. */
static __always_inline __u32 lowest_bit(__u64 word)
{
	word &= -word;
	return !!(word & 0xffffffff00000000ULL) << 5 | !!(word & 0xffff0000ffff0000ULL) << 4 |
	       !!(word & 0xff00ff00ff00ff00ULL) << 3 | !!(word & 0xf0f0f0f0f0f0f0f0ULL) << 2 |
	       !!(word & 0xccccccccccccccccULL) << 1 | !!(word & 0xaaaaaaaaaaaaaaaaULL);
}

/* The finaliser of splitmix64: addresses in a row must not end up in buckets in a row. */
static __always_inline __u64 list_mix(__u64 key)
{
	key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9ULL;
	key = (key ^ key >> 27) * 0x94d049bb133111ebULL;
	return key ^ key >> 31;
}

static __always_inline __u32 list_place(__u32 half, __u32 buckets)
{
	return (__u64)half * buckets >> 32;
}

/* Without a branch that depends on what is there. An entry without its marks is never 0, as it has a length. */
static __always_inline __u32 list_marks_of(const __u64 *slots, __u64 want)
{
	__u64 marks = 0;

#pragma unroll
	for (int i = 0; i < 8; i++) {
		__u64 differs = slots[i] ^ want;

		/* All ones where only marks are left. */
		marks |= differs & (__u64)((__s64)((differs >> 24) - 1) >> 63);
	}
	return marks;
}

static __always_inline __u32 list_probe4(__u32 line, __u64 hash, __u32 buckets, __u64 want)
{
	const __u64 *slots = list_line(line + list_place(hash, buckets));
	__u32 marks;

	if (!slots)
		return 0;
	marks = list_marks_of(slots, want);
	if (marks || !slots[7])
		return marks;
	slots = list_line(line + list_place(hash >> 32, buckets));
	return slots ? list_marks_of(slots, want) : 0;
}

/* The marks of an address of IPv4. */
static __always_inline __u32 list_find4(__u32 address, const struct list_header *header, __u32 first)
{
	const __u8 *around = list_line(first + LIST_AROUND4 + (address >> 14));
	const __u8 *lengths = list_line(first + LIST_LENGTHS4 + (address >> 22));
	const __u32 *kinds;
	__u32 kind, here;

	if (!around || !lengths)
		return 0;
	kind = around[address >> 8 & 63];
	if (kind & LIST_LONGER) {
		here = lengths[address >> 16 & 63];
		for (__u32 shift = 0; shift < 8; shift++) {
			__u64 want = (__u64)(address >> shift << shift) << 32 | (__u64)(32 - shift) << 24;
			__u32 marks;

			if (!(here >> shift & 1))
				continue;
			marks = list_probe4(first + LIST_BUCKETS, list_mix(want ^ header->seed), header->buckets4,
					    want);
			if (marks)
				return marks;
		}
	}
	kind &= LIST_LONGER - 1;
	kinds = list_line(first + LIST_KINDS4 + (kind >> 4));
	return kinds ? kinds[kind & 15] : 0;
}

static __always_inline __u32 list_probe6(__u32 line, __u64 high, __u64 low, __u32 length)
{
	const struct list_bucket6 *bucket = list_line(line);
	__u32 marks = 0;

	if (!bucket)
		return 0;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		if (bucket->net[i][0] == high && bucket->net[i][1] == low && bucket->meta[i] >> 24 == length)
			marks = bucket->meta[i] & LIST_MARKS;
	}
	return marks;
}

/* The marks of the network of `length` bits around an address of IPv6. */
__noinline __u32 list_find6_at(__u64 high, __u64 low, __u32 length, __u32 first)
{
	const struct list_header *header = list_line(first);
	__u32 line = first + LIST_BUCKETS, marks;
	__u64 hash;

	if (!header)
		return 0;
	if (length <= 64) {
		__u32 shift = (64 - length) & 63;

		high = high >> shift << shift;
		low = 0;
	} else {
		__u32 shift = (128 - length) & 63;

		low = low >> shift << shift;
	}
	hash = list_mix(list_mix(high ^ header->seed) ^ low ^ (__u64)length << 56);
	line += header->buckets4;
	marks = list_probe6(line + list_place(hash, header->buckets6), high, low, length);
	return marks ? marks : list_probe6(line + list_place(hash >> 32, header->buckets6), high, low, length);
}

/* The marks of an address of IPv6. */
__noinline __u32 list_find6(__u64 high, __u64 low, __u32 first)
{
	const struct list_header *header = list_line(first);
	const __u64 *shorts = list_line(first + LIST_SHORT6 + (high >> 52));
	const __u64 *longs;
	__u64 lengths[3];
	__u32 place;

	if (!header || !shorts)
		return 0;
	place = list_mix(high >> 32 ^ header->seed) & 0xffff;
	longs = list_line(first + LIST_LONG6 + (place >> 2));
	if (!longs)
		return 0;
	lengths[0] = longs[place << 1 & 7];       /* 128 is bit 0, 65 is bit 63 */
	lengths[1] = longs[(place << 1 & 7) + 1]; /* 64 is bit 0, 33 is bit 31 */
	lengths[2] = (__u32)(shorts[high >> 49 & 7] >> (high >> 43 & 32)); /* 32 is bit 0, 1 is bit 31 */
	for (int i = 0; i < 128; i++) {
		__u32 length, marks;

		if (lengths[0]) {
			length = 128 - (lowest_bit(lengths[0]) & 63);
			lengths[0] &= lengths[0] - 1;
		} else if (lengths[1]) {
			length = 64 - (lowest_bit(lengths[1]) & 31);
			lengths[1] &= lengths[1] - 1;
		} else if (lengths[2]) {
			length = 32 - (lowest_bit(lengths[2]) & 31);
			lengths[2] &= lengths[2] - 1;
		} else {
			return 0;
		}
		marks = list_find6_at(high, low, length, first);
		if (marks)
			return marks;
	}
	return 0;
}

static __always_inline struct address address_of(const __u64 *halves)
{
	struct address address = { bpf_be64_to_cpu(halves[0]), bpf_be64_to_cpu(halves[1]) };

	return address;
}

static __always_inline __u32 list_find(struct address address, int is_six, const struct list_header *header,
				       __u32 first)
{
	return is_six ? list_find6(address.high, address.low, first) : list_find4(address.low, header, first);
}

/* Counts a frame for a list, or for a bypass behind them. */
static __always_inline struct list_hits *list_count(__u32 list, __u32 length)
{
	__u32 line = bpf_get_smp_processor_id() * LIST_COUNTERS + list;
	struct list_hits *hits = bpf_map_lookup_elem(&list_hits, &line);

	if (hits) {
		hits->packets++;
		hits->bytes += length;
	}
	return hits;
}

/* A sample of a frame that a list decided, unless there were enough of them. */
static __always_inline void list_note(struct xdp_md *ctx, const struct list_header *header, struct list_hits *hits,
				      __u32 list, __u32 drops, __u32 port, __u32 length, __u64 now)
{
	__u64 copied = length < LIST_SAMPLE_BYTES ? length : LIST_SAMPLE_BYTES;
	__u64 second = now >> 30; /* near enough */
	struct list_sample *sample;

	if (!hits || !header->sample_every)
		return;
	if (hits->second != second) {
		hits->second = second;
		hits->noted = 0;
	}
	if (hits->skipped++ < header->sample_every - 1 || hits->noted >= header->sample_most)
		return;
	hits->skipped = 0;
	hits->noted++;
	sample = bpf_ringbuf_reserve(&list_samples, sizeof(*sample), 0);
	if (!sample) {
		hits->lost++;
		return;
	}
	sample->time = now;
	sample->port = port;
	sample->list = list;
	sample->drops = drops;
	sample->length = length;
	sample->copied = copied;
	sample->reserved = 0;
	/* So that the compiler does not take the verifier's bounds away, as it knows them already. */
	asm volatile("" : "+r"(copied));
	if (!copied || copied > LIST_SAMPLE_BYTES || bpf_xdp_load_bytes(ctx, 0, sample->bytes, copied)) {
		bpf_ringbuf_discard(sample, 0);
		hits->lost++;
		return;
	}
	bpf_ringbuf_submit(sample, 0);
}

static __always_inline int is_within(struct address address, const __u64 *net, const __u64 *mask)
{
	return (address.high & mask[0]) == net[0] && (address.low & mask[1]) == net[1];
}

/* The number of the first bypass that a frame meets, from 1; 0: none. */
__noinline __u32 list_bypass(const struct parsed *parsed, __u32 first, __u32 rules)
{
	struct address source, destination;
	__u16 one, other;

	if (!parsed)
		return 0;
	source = address_of(parsed->source);
	destination = address_of(parsed->destination);
	one = bpf_ntohs(source_port(parsed));
	other = bpf_ntohs(destination_port(parsed));
	for (__u32 i = 0; i < BYPASS_RULES && i < rules; i++) {
		const struct bypass_nets *nets = list_line(first + LIST_BYPASS + 2 * i);
		const struct bypass_ports *ports = list_line(first + LIST_BYPASS + 2 * i + 1);

		if (!nets || !ports)
			break;
		if (ports->protocol < 256 && ports->protocol != protocol_of(parsed))
			continue;
		if (ports->first > 0 || ports->last < 65535) {
			if (!(parsed->flags & PARSED_PORTS))
				continue;
			if ((one < ports->first || one > ports->last) && (other < ports->first || other > ports->last))
				continue;
		}
		if ((is_within(source, nets->network, nets->network_mask) &&
		     is_within(destination, nets->peer, nets->peer_mask)) ||
		    (is_within(destination, nets->network, nets->network_mask) &&
		     is_within(source, nets->peer, nets->peer_mask)))
			return i + 1;
	}
	return 0;
}

enum list_verdict {
	LIST_NOTHING = 0,
	LIST_BYPASSED = 1,
	LIST_BLOCKED = 2,
	LIST_IGNORED = 3, /* a bypass where nothing is forwarded */
};

/* The generation in force; 0: there is none. */
static __always_inline __u32 lists_in_force(void)
{
	const volatile __u64 *control = list_line(0);

	return control ? *control : 0;
}

/* What has to be known of a frame where there are only addresses to be looked up; 0 where more has to be asked. */
static __always_inline int parse_for_lists(struct xdp_md *ctx, int frags, __u32 first, struct parsed *out)
{
	const void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct list_header *header = list_line(first);
	const struct iphdr *ip = at + sizeof(struct ethhdr);

	if (frags || !header || header->bypasses || !is_untagged_ipv4(at, end))
		return 0;
	out->source[0] = out->destination[0] = 0;
	out->source[1] = mapped(ip->saddr);
	out->destination[1] = mapped(ip->daddr);
	out->ports = out->ids = out->kind = 0;
	out->flags = PARSED_ADDRESSES;
	out->length = (__u64)(end - at);
	return 1;
}

/* What the lists make of a frame. Order: bypasses, the allow-list, blocklists that drop, those that only tell. */
__noinline int look_up_lists(struct xdp_md *ctx, const struct parsed *parsed, __u32 first, __u32 port, __u64 now)
{
	const struct list_header *header = list_line(first);
	struct address source, destination;
	__u32 marks, drops;

	if (!header || !parsed || !(parsed->flags & PARSED_ADDRESSES))
		return LIST_NOTHING;
	source = address_of(parsed->source);
	destination = address_of(parsed->destination);
	if (header->bypasses && !(parsed->flags & PARSED_LENGTH)) {
		__u32 rule = list_bypass(parsed, first, header->bypasses);

		if (rule) {
			list_count(LIST_MOST + rule - 1, parsed->length);
			return header->forward ? LIST_BYPASSED : LIST_IGNORED;
		}
	}
	if (!header->entries)
		return LIST_NOTHING;
	marks = 0;
	if (header->sources)
		marks = list_find(source, parsed->kind & KIND_IPV6, header, first) & header->sources;
	if (header->destinations)
		marks |= list_find(destination, parsed->kind & KIND_IPV6, header, first) & header->destinations;
	if (!marks)
		return LIST_NOTHING;
	if (marks & header->allow) {
		list_count(lowest_bit(marks & header->allow) & 31, parsed->length);
		return LIST_NOTHING;
	}
	drops = marks & header->drop;
	if (drops)
		marks = drops & -drops; /* the first one has it */
	for (int i = 0; i < LIST_MOST && marks; i++) {
		__u32 list = lowest_bit(marks) & 31;
		struct list_hits *hits = list_count(list, parsed->length);

		marks &= marks - 1;
		list_note(ctx, header, hits, list, !!drops, port, parsed->length, now);
	}
	return drops ? LIST_BLOCKED : LIST_NOTHING;
}

#endif
