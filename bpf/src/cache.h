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

/* `cache/line.rs` does the same. Two chains, so that the processor has something to do while it multiplies. */
static __always_inline __u64 cache_hash(const struct parsed *key, __u64 seed)
{
	__u64 one = (key->source[1] ^ seed) * 0xbf58476d1ce4e5b9ULL;
	__u64 two = (key->destination[1] ^ seed >> 32 ^ seed << 32) * 0x94d049bb133111ebULL;

	one = (one ^ one >> 32 ^ key->source[0]) * 0x94d049bb133111ebULL;
	two = (two ^ two >> 32 ^ key->destination[0]) * 0xbf58476d1ce4e5b9ULL;
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

/* 0 where a line is what holds for the frame, but for its time. */
static __always_inline __u64 differs(const struct cached *line, const struct parsed *parsed, __u32 stamp)
{
	return (line->source[0] ^ parsed->source[0]) | (line->source[1] ^ parsed->source[1]) |
	       (line->destination[0] ^ parsed->destination[0]) | (line->destination[1] ^ parsed->destination[1]) |
	       (line->ports ^ parsed->ports) | (line->ids ^ parsed->ids) | (line->kind ^ parsed->kind) |
	       (line->verdict >> 1 ^ stamp);
}

/*
 * What holds for the frame; NULL where nothing does: by its form, by rules of another generation, or after its time. A quick
 * one only looks at the home.
 */
static __always_inline struct cached *look_up_cache(const struct parsed *parsed, const struct cache_header *header,
						    __u64 now, int is_quick)
{
	struct cached *line;
	__u32 home, near;

	if (!is_quick && !is_plain(parsed))
		return NULL;
	home = 1 + ((cache_hash(parsed, header->seed) >> 32) * header->homes >> 32);
	line = cache_line(home);
	if (!line)
		return NULL;
	/* First the home itself, whatever it says: that is one branch for nearly all. */
	if (differs(line, parsed, header->stamp)) {
		if (is_quick)
			return NULL;
		near = line->near >> 1;
		line = NULL;
		for (int i = 1; i < CACHE_NEAR && near; i++, near >>= 1) {
			struct cached *other;

			if (!(near & 1))
				continue;
			other = cache_line(home + i);
			if (other && !differs(other, parsed, header->stamp)) {
				line = other;
				break;
			}
		}
	}
	return line && line->until > now >> CACHE_TIME_SHIFT ? line : NULL;
}

static __always_inline int is_cached_drop(const struct cached *cached)
{
	return (cached->verdict & 1) == CACHED_DROP;
}

/* Two CPUs may do so at once for an entry. */
static __always_inline void count_cached(struct cached *cached, __u32 length)
{
	__sync_fetch_and_add(&cached->packets, 1);
	__sync_fetch_and_add(&cached->bytes, length);
}

#endif
