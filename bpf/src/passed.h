/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Which TCP connections had packets pass that nobody judged, so that those who judge afterwards know them from packets
 * that belong to nothing.
 *
 * A table of cache lines that user space maps and looks into, so that it takes no system call to ask. A connection is in
 * one of them, told by its addresses and ports alone, the same in both directions; where there is no room the one goes that
 * was seen longest ago. `passed.rs` says the same in Rust.
 */
#ifndef PORTCULLIS_PASSED_H
#define PORTCULLIS_PASSED_H

#include "lists.h"

static __always_inline __u64 passed_end(const __u64 *address, __be16 port, __u64 seed)
{
	struct address end = address_of(address);

	return list_mix(list_mix(list_mix(end.high ^ seed) ^ end.low) ^ bpf_ntohs(port));
}

/* Notes a frame that passes, if it is TCP's. */
__noinline int note_passed(struct xdp_md *ctx, __u32 inline_set, __u64 now)
{
	struct parsed parsed;
	__u32 zero = 0, line, oldest = 0, place = 0;
	const struct list_line *header = bpf_map_lookup_elem(&passed, &zero);
	struct list_line *bucket;
	__u64 hash, entry;

	if (!header)
		return 0;
	/* With the call: this runs in both kinds of program, and only while nobody judges. */
	parsed = parse(ctx, 1, inline_set, 0);
	if (protocol_of(&parsed) != IPPROTO_TCP || !(parsed.flags & PARSED_PORTS))
		return 0;
	hash = passed_end(parsed.source, source_port(&parsed), header->words[0]) +
	       passed_end(parsed.destination, destination_port(&parsed), header->words[0]);
	hash = list_mix(hash ^ inline_set);
	line = 1 + (hash & (PASSED_BUCKETS - 1));
	bucket = bpf_map_lookup_elem(&passed, &line);
	if (!bucket)
		return 0;
	entry = (hash >> 32 << 32) | (__u32)(now / SECOND);
	oldest = bucket->words[0];
#pragma unroll
	for (int i = 0; i < 8; i++) {
		__u64 word = bucket->words[i];

		if (word >> 32 == entry >> 32) {
			bucket->words[i] = entry;
			return 0;
		}
		if ((__u32)word < oldest) {
			oldest = word;
			place = i;
		}
	}
	bucket->words[place & 7] = entry;
	return 0;
}

#endif
