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

/* What happens to a frame that no live worker can take. */
enum fail_policy {
	FAIL_CLOSED = 0,
	FAIL_OPEN = 1,
};

/* The one entry of the map `settings`; rewritten whole while traffic passes. */
struct settings {
	__u32 fail;   /* enum fail_policy */
	__u32 queues; /* socket slots a port: slot = port * queues + rx queue */
};

/* Frames by outcome, one set a port and CPU. A frame is counted once. */
struct counters {
	__u64 socket;      /* handed to a worker's socket */
	__u64 control;     /* link-local control, to the peer */
	__u64 uninspected; /* no worker: to the peer, unseen (fail open) */
	__u64 closed;      /* no worker: dropped (fail closed) */
	__u64 no_peer;     /* due to a peer that the set does not have: dropped */
	__u64 foreign;     /* came in by an interface that is not of the set: left to the stack */
};

#endif
