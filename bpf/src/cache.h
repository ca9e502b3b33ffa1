/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The verdict cache: flows about which user space has decided, so that their packets need not go there. It is filled
 * and emptied from there, too; here its entries are only looked up and counted in.
 */
#ifndef PORTCULLIS_CACHE_H
#define PORTCULLIS_CACHE_H

#include "maps.h"
#include "tuple.h"

/* What holds for the frame; NULL where nothing does: by its form, by rules of another generation, or after its time. */
static __always_inline struct cached *look_up_cache(const struct parsed *parsed, __u32 generation, __u64 now)
{
	struct cached *found;

	if (!is_plain(parsed))
		return NULL;
	found = bpf_map_lookup_elem(&verdicts, &parsed->tuple);
	if (!found || found->generation != generation || found->until <= now)
		return NULL;
	return found;
}

/* The generation of rules that entries must be of; 0 while the cache is out of use. */
static __always_inline __u32 cache_in_force(void)
{
	__u32 zero = 0, *generation = bpf_map_lookup_elem(&cache_generation, &zero);

	return generation ? *generation : 0;
}

/* Two CPUs may do so at once for an entry. */
static __always_inline void count_cached(struct cached *cached, const struct parsed *parsed)
{
	__sync_fetch_and_add(&cached->packets, 1);
	__sync_fetch_and_add(&cached->bytes, parsed->length);
}

#endif
