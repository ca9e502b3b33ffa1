/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the program and the loader agree on. The loader's counterpart is `layout.rs`; a change here is a new
 * VERSION there, so that pins of another layout are never adopted.
 */
#ifndef PORTCULLIS_H
#define PORTCULLIS_H

#include <linux/types.h>

/* A set has at most this many ports; PortId is a byte. */
#define MAX_PORTS 256

/* Places of the map `port_of`: a power of two, and more than there can be ports. */
#define PORT_PLACES 1024

struct port_place {
	__u32 ifindex; /* 0: no port is here */
	__u32 port;
};

/* UDP ports that tunnels are looked for on, as many as all of their kinds may have. */
#define TUNNEL_PORTS 12

/* What happens to a frame that no live worker can take. */
enum fail_policy {
	FAIL_CLOSED = 0,
	FAIL_OPEN = 1,
};

/* What happens to a frame whose worker lives, but has as much as it can hold. */
enum overload_policy {
	OVERLOAD_DROP = 0,
	OVERLOAD_BYPASS = 1,
};

/* An entry of the map `settings`, one a port; rewritten whole while traffic passes. Times are nanoseconds. */
struct settings {
	__u32 fail;         /* enum fail_policy */
	__u32 queues;       /* socket slots a port: slot = port * queues + rx queue */
	__u32 overload;     /* enum overload_policy */
	__u32 room;         /* frames that a worker can hold of a slot; 0: not watched */
	__u64 beat_limit;   /* a heartbeat older than this is a dead worker's; 0: not watched */
	__u64 full_limit;   /* the same for a worker whose slot is full: shorter */
	__u32 latch_after;  /* blind windows of a slot a minute that are too many; 0: none are */
	__u32 latched_fail; /* enum fail_policy of a slot that had too many */
	__u32 inline_set;   /* the set that the port is of */
	__u32 reserved;
};

/* The one entry of the map `tunnels`: UDP that may carry a packet. */
struct tunnels {
	__u64 filter; /* bits for the ports, see `tuple.h`; all are set where any port may be one */
	__u32 any;    /* any port may be one */
	__u32 count;  /* of `ports` */
	__u16 ports[TUNNEL_PORTS];
};

/* FUTEX_OWNER_DIED (linux/futex.h), which the kernel writes when a thread dies that holds the slot. */
#define HOLDER_DIED 0x40000000

/* One a socket slot, mapped into the worker. The first cache line is the worker's, the second ours. */
struct pulse {
	__u64 beat;  /* when the worker last looked: coarse monotonic time */
	__u64 taken; /* how many of the offered frames it has taken, or knows to be lost */
	/* A robust futex that the worker's thread holds: see `holder.rs`. */
	__u64 holder_next; /* the next one of the thread's list, in its process */
	__u32 holder;      /* the thread; HOLDER_DIED: it is gone; 0: nobody said */
	__u32 holder_reserved;
	__u64 room[4];
	__u64 offered;        /* frames handed to the slot's socket */
	__u64 blind_since;    /* when the open blind window began; 0: none is open */
	__u64 blind_until;    /* the last frame in it */
	__u64 blind_frames;   /* frames in it */
	__u64 blind_passed;   /* those of them that went to the peer */
	__u64 windows;        /* blind windows so far, the open one included */
	__u64 minute;         /* when the minute began that the next counts in */
	__u32 minute_windows; /* windows in that minute */
	__u32 latched;        /* there were too many; cleared by the supervisor */
};

enum cached_action {
	CACHED_DROP = 0,
	CACHED_PASS = 1,
};

/* Lines beyond an entry's home that it may be in: bits of `cached.near`. */
#define CACHE_NEAR 16

/* A line of the verdict cache: an entry, packed so that it is one cache line. `cache/line.rs` says the same in Rust. */
struct cached {
	__u64 source[2], destination[2];
	__u32 ports;   /* source and destination, as they stand in the frame */
	__u32 ids;     /* outermost VLAN id, the next << 12, inline set << 24 */
	__u32 kind;    /* innermost VLAN id, number of tags << 12, protocol << 16, side << 24, is IPv6 << 25 */
	__u32 until;   /* coarse monotonic time >> CACHE_TIME_SHIFT */
	__u32 packets; /* answered by it; begins again at 0 */
	__u16 near;    /* bit n: the line n further on has an entry whose home this is */
	__u16 verdict; /* generation << 1 | enum cached_action; 0: no entry is here */
	__u64 bytes;
};

#define CACHE_TIME_SHIFT 27

/* Its first line. */
struct cache_header {
	__u64 seed;
	__u32 homes;      /* the lines that hashes lead to: the first ones, from 1 on */
	__u32 stamp;      /* the generation that entries must be of, as they have it; 0: none is looked up */
	__u32 generation; /* the same as user space knows it */
	__u32 reserved[11];
};

/* A blind window that has ended, as it stands in the ring `windows`. Times are coarse monotonic. */
struct window {
	__u64 since;
	__u64 until;
	__u64 frames;
	__u64 passed;
	__u32 port;
	__u32 queue;
};

/* Frames by outcome, one set a port and CPU. A frame is counted once in the first group. */
struct counters {
	__u64 socket;            /* handed to a worker's socket */
	__u64 control;           /* link-local control, to the peer */
	__u64 uninspected;       /* no live worker: to the peer, unseen (fail open) */
	__u64 closed;            /* no live worker: dropped (fail closed) */
	__u64 no_peer;           /* due to a peer that the set does not have: dropped */
	__u64 foreign;           /* came in by an interface that is not of the set: left to the stack */
	__u64 overload_bypassed; /* the worker is busy: to the peer, unseen */
	__u64 overload_dropped;  /* the worker is busy: dropped */
	__u64 switched;          /* the panic switch is on: to the peer, unseen */
	__u64 cache_passed;      /* its flow's verdict is cached: to the peer */
	__u64 cache_dropped;     /* its flow's verdict is cached: dropped */
	__u64 list_bypassed;     /* a static bypass: to the peer, unseen */
	__u64 list_blocked;      /* a blocklist: dropped */
	/* Why frames of `uninspected` and `closed` were. */
	__u64 no_socket;
	__u64 stale;
	/* No count: coarse monotonic time as it was at a tick. */
	__u64 tick;
	__u64 time;
};

/* Lines of the map `passed` behind its first, which holds a seed; `passed.h` says what stands there. */
#define PASSED_BUCKETS 16384

#define SECOND 1000000000ULL

/* Lists of a table, rules of bypasses, and counters of both. */
#define LIST_MOST 24
#define BYPASS_RULES 64
#define LIST_COUNTERS (LIST_MOST + BYPASS_RULES)

/* One cache line of the map `lists`; `lists.h` says what stands where. */
struct list_line {
	__u64 words[8];
};

/* How often a list or a bypass was met, a CPU. */
struct list_hits {
	__u64 packets;
	__u64 bytes;
	__u64 lost;    /* samples that the ring had no room for */
	__u64 second;  /* in which `noted` counts */
	__u32 noted;   /* samples in it */
	__u32 skipped; /* frames since the last sample */
	__u64 reserved[3];
};

/* Bytes of the ring of samples. */
#define LIST_SAMPLES 262144

/* Bytes of a frame in a sample. */
#define LIST_SAMPLE_BYTES 128

/* A frame that a list decided, as it stands in the ring `list_samples`. Time is coarse monotonic. */
struct list_sample {
	__u64 time;
	__u32 port;
	__u32 list;
	__u32 drops; /* else it went on to inspection */
	__u32 length;
	__u32 copied;
	__u32 reserved;
	__u8 bytes[LIST_SAMPLE_BYTES];
};

#endif
