/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The verdict cache: flows about which user space has decided, so that their packets need not go there.
 *
 * It is an array of cache lines that user space maps and writes: a header, and entries of a line each. A hash leads to
 * an entry's home, which tells in which of the lines from there on its entries are, so that nearly every look-up takes
 * one line, without a call of a helper. It is filled and emptied from there; here entries are only counted in.
 */
#ifndef PORTCULLIS_CACHE_H
#define PORTCULLIS_CACHE_H

#include "maps.h"
#include "tuple.h"

/* What of an entry is compared, in the form that it has there. */
struct cache_key {
	__u64 words[4];
	__u32 ports, ids, kind;
};

static __always_inline void cache_key(const struct tuple *tuple, struct cache_key *key)
{
	const __u64 *source = (const void *)tuple->source, *destination = (const void *)tuple->destination;
	const __u16 *vlans = tuple->vlans;
	__u32 tags = (vlans[0] >> 12) + (vlans[1] >> 12) + (vlans[2] >> 12);

	key->words[0] = source[0];
	key->words[1] = source[1];
	key->words[2] = destination[0];
	key->words[3] = destination[1];
	key->ports = *(const __u32 *)(const void *)&tuple->source_port;
	key->ids = (vlans[0] & 0xfff) | (vlans[1] & 0xfff) << 12 | (__u32)tuple->set << 24;
	key->kind = (vlans[2] & 0xfff) | tags << 12 | (__u32)tuple->protocol << 16 | (__u32)tuple->side << 24 |
		    (__u32)(tuple->version == 6) << 25;
}

/* `cache/line.rs` does the same. Two chains, so that the processor has something to do while it multiplies. */
static __always_inline __u64 cache_hash(const struct cache_key *key, __u64 seed)
{
	__u64 one = (key->words[1] ^ seed) * 0xbf58476d1ce4e5b9ULL;
	__u64 two = (key->words[3] ^ seed >> 32 ^ seed << 32) * 0x94d049bb133111ebULL;

	one = (one ^ one >> 32 ^ key->words[0]) * 0x94d049bb133111ebULL;
	two = (two ^ two >> 32 ^ key->words[2]) * 0xbf58476d1ce4e5b9ULL;
	one ^= one >> 29 ^ key->ports ^ (__u64)key->ids << 32;
	two ^= two >> 29 ^ key->kind;
	one = (one ^ two * 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL;
	one = (one ^ one >> 31) * 0x94d049bb133111ebULL;
	return one ^ one >> 32;
}

static __always_inline struct cached *cache_line(__u32 line)
{
	return bpf_map_lookup_elem(&verdicts, &line);
}

/* The header, where the cache is in use; else NULL. */
static __always_inline const struct cache_header *cache_in_force(void)
{
	const struct cache_header *header = (const void *)cache_line(0);

	return header && header->stamp ? header : NULL;
}

/* What holds for the frame; NULL where nothing does: by its form, by rules of another generation, or after its time. */
static __always_inline struct cached *look_up_cache(const struct parsed *parsed, const struct cache_header *header,
						    __u64 now)
{
	struct cached *line;
	struct cache_key key;
	__u32 home, near;

	if (!is_plain(parsed))
		return NULL;
	cache_key(&parsed->tuple, &key);
	home = 1 + ((cache_hash(&key, header->seed) >> 32) * header->homes >> 32);
	line = cache_line(home);
	if (!line)
		return NULL;
	near = line->near;
	for (int i = 0; i < CACHE_NEAR && near; i++, near >>= 1) {
		if (!(near & 1))
			continue;
		line = cache_line(home + i);
		if (!line)
			return NULL;
		if ((line->source[0] ^ key.words[0]) | (line->source[1] ^ key.words[1]) |
		    (line->destination[0] ^ key.words[2]) | (line->destination[1] ^ key.words[3]) |
		    (line->ports ^ key.ports) | (line->ids ^ key.ids) | (line->kind ^ key.kind))
			continue;
		if (line->verdict >> 1 != header->stamp || line->until <= now >> CACHE_TIME_SHIFT)
			return NULL;
		return line;
	}
	return NULL;
}

static __always_inline int is_cached_drop(const struct cached *cached)
{
	return (cached->verdict & 1) == CACHED_DROP;
}

/* Two CPUs may do so at once for an entry. */
static __always_inline void count_cached(struct cached *cached, const struct parsed *parsed)
{
	__sync_fetch_and_add(&cached->packets, 1);
	__sync_fetch_and_add(&cached->bytes, parsed->length);
}

#endif
