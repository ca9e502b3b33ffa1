/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Is there a live worker behind a slot, and what is noted of the time in which there is none? */
#ifndef PORTCULLIS_LIVENESS_H
#define PORTCULLIS_LIVENESS_H

#define MINUTE 60000000000ULL

/* The order counts: from WORKER_STALE on, nobody is there. */
enum worker_state {
	WORKER_READY = 0,
	WORKER_BUSY = 1,
	WORKER_STALE = 2,
	WORKER_ABSENT = 3,
};

static __always_inline int state_of_worker(const struct settings *set, const struct pulse *pulse, __u32 slot,
					   __u64 now)
{
	/* Signed: the worker may be a moment ahead of the two clocks and counts, which nothing orders. */
	__s64 age = now - pulse->beat, outstanding = pulse->offered - pulse->taken;
	int is_full = set->room && outstanding >= (__s64)set->room;

	if (!bpf_map_lookup_elem(&sockets, &slot))
		return WORKER_ABSENT;
	/* Long before the kernel closes a dead process's sockets: first it takes its memory back. */
	if (pulse->holder & HOLDER_DIED)
		return WORKER_STALE;
	if (set->beat_limit && age > (__s64)(is_full ? set->full_limit : set->beat_limit))
		return WORKER_STALE;
	return is_full ? WORKER_BUSY : WORKER_READY;
}

/*
 * A frame that nobody saw: opens a window, which is when it says so, or widens the open one. Two CPUs may do so at once
 * for a slot; then a frame may go uncounted in the window, never in `counters`.
 */
static __always_inline int note_unseen(struct pulse *pulse, __u64 now)
{
	pulse->blind_until = now;
	pulse->blind_frames++;
	if (pulse->blind_since)
		return 0;
	pulse->blind_since = now;
	pulse->windows++;
	return 1;
}

/* The same, for want of a worker: where that happens too often the slot is latched. */
static __always_inline void note_blind(const struct settings *set, struct pulse *pulse, __u64 now)
{
	if (!note_unseen(pulse, now))
		return;
	if (now - pulse->minute > MINUTE) {
		pulse->minute = now;
		pulse->minute_windows = 0;
	}
	pulse->minute_windows++;
	if (set->latch_after && pulse->minute_windows > set->latch_after)
		pulse->latched = 1;
}

/* Somebody sees again. */
static __always_inline void close_window(struct pulse *pulse, __u32 port, __u32 queue)
{
	struct window *window = bpf_ringbuf_reserve(&windows, sizeof(*window), 0);

	if (window) {
		window->since = pulse->blind_since;
		window->until = pulse->blind_until;
		window->frames = pulse->blind_frames;
		window->passed = pulse->blind_passed;
		window->port = port;
		window->queue = queue;
		bpf_ringbuf_submit(window, 0);
	}
	pulse->blind_since = 0;
	pulse->blind_frames = 0;
	pulse->blind_passed = 0;
}

#endif
