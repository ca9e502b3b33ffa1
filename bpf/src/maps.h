/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The maps of the gate's program. All of them are pinned, by these names. */
#ifndef PORTCULLIS_MAPS_H
#define PORTCULLIS_MAPS_H

/* The ports by interface: one is at its ifindex % PORT_PLACES, or in the places behind that up to the first empty one */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORT_PLACES);
	__type(key, __u32);
	__type(value, struct port_place);
} port_of SEC(".maps");

/* port * settings.queues + rx queue -> socket; sized by the loader */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

/* The same slots: is the worker behind each alive? Sized by the loader */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct pulse);
} pulses SEC(".maps");

/* port -> its peer's ifindex; empty where the set only listens */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} peers SEC(".maps");

/* By port, for the inline sets that the ports are of may differ */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

/* UDP that the gate looks into, and that is never answered by what its outer ports say */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tunnels);
} tunnels SEC(".maps");

/* Flows that are decided, see `cache.h`; written from user space, sized by the loader, one line where there is no cache */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cached);
} verdicts SEC(".maps");

/* By inline set: until when (coarse monotonic time) its wires are to stay in the kernel, whatever else holds */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u64);
} panic_switch SEC(".maps");

/* TCP that passed uninspected, see `passed.h` */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 + PASSED_BUCKETS);
	__type(key, __u32);
	__type(value, struct list_line);
} passed SEC(".maps");

/* Blind windows that have ended. What no longer fits is still counted in `pulse.windows` */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} windows SEC(".maps");

/* Both generations of the lists, see `lists.h`; sized by the loader, one line where there are no lists */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct list_line);
} lists SEC(".maps");

/* CPU * LIST_COUNTERS + list, or LIST_MOST + bypass; sized by the loader */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LIST_COUNTERS);
	__type(key, __u32);
	__type(value, struct list_hits);
} list_hits SEC(".maps");

/* Frames that a list decided, some of them */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, LIST_SAMPLES);
} list_samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

#endif
