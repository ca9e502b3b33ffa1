// The C ABI of Portcullis' plugins. See README.md beside the folder of this file.
//
// Made from the Rust sources by a test of the crate portcullis-plugin; not to be edited.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The version of this ABI. A plugin of another version is not loaded.
#define PORTCULLIS_ABI_VERSION 1

// What a function of a plugin returns when all went well. Everything else is a failure.
#define PORTCULLIS_OK 0

// What a function of a plugin returns when something went wrong.
#define PORTCULLIS_FAILED 1

// Most bytes that one storage of a plugin can have beside each flow.
#define PORTCULLIS_STORAGE_MOST 1024

// Bytes of the message that a plugin may leave when it refuses to be registered, the final NUL included.
#define PORTCULLIS_ERROR_BYTES 256

// Which way of its flow a packet goes.
typedef enum PortcullisDirection {
    // From the client, who sent the flow's first packet.
    PORTCULLIS_DIRECTION_TO_SERVER = 0,
    // From the server.
    PORTCULLIS_DIRECTION_TO_CLIENT = 1,
} PortcullisDirection;

// The state of a flow.
typedef enum PortcullisFlowState {
    // TCP: before the handshake is complete. Else: seen in one direction only.
    PORTCULLIS_FLOW_STATE_NEW = 0,
    // TCP: the handshake is complete. Else: seen in both directions.
    PORTCULLIS_FLOW_STATE_ESTABLISHED = 1,
    // TCP: the session is over.
    PORTCULLIS_FLOW_STATE_CLOSED = 2,
    // No longer inspected.
    PORTCULLIS_FLOW_STATE_BYPASSED = 3,
} PortcullisFlowState;

// Why a flow ended.
typedef enum PortcullisEndReason {
    // It has not: it is in the table.
    PORTCULLIS_END_REASON_NONE = 0,
    // A new TCP session with the same ports took its place.
    PORTCULLIS_END_REASON_TCP_REUSE = 1,
    // It was evicted to make room.
    PORTCULLIS_END_REASON_FORCED = 2,
    // The engine stopped.
    PORTCULLIS_END_REASON_SHUTDOWN = 3,
    // It was idle for long enough.
    PORTCULLIS_END_REASON_TIMEOUT = 4,
    // Another reason.
    PORTCULLIS_END_REASON_UNKNOWN = 5,
    // Another process goes on with it.
    PORTCULLIS_END_REASON_HANDED_OVER = 6,
} PortcullisEndReason;

// What is so of a flow; one bit each.
typedef enum PortcullisFlowFlags {
    // A packet to the server was seen.
    PORTCULLIS_FLOW_FLAGS_SEEN_TO_SERVER = 1,
    // A packet to the client was seen.
    PORTCULLIS_FLOW_FLAGS_SEEN_TO_CLIENT = 2,
    // A rule alerted on it.
    PORTCULLIS_FLOW_FLAGS_ALERTED = 4,
    // All further packets are dropped.
    PORTCULLIS_FLOW_FLAGS_DROPPED = 8,
    // All further packets pass uninspected.
    PORTCULLIS_FLOW_FLAGS_PASSED = 16,
    // It is bypassed.
    PORTCULLIS_FLOW_FLAGS_BYPASSED = 32,
    // It expired, or made room, while memory was short.
    PORTCULLIS_FLOW_FLAGS_EMERGENCY = 64,
    // Its payload is exempt from inspection.
    PORTCULLIS_FLOW_FLAGS_NO_PAYLOAD_INSPECTION = 128,
} PortcullisFlowFlags;

// Why a packet, or a flow, is dropped: `drop.reason` of its record and the counter's name.
typedef enum PortcullisDropReason {
    // `callback`: because a hook says so. The one to use where no other fits.
    PORTCULLIS_DROP_REASON_CALLBACK = 0,
    // `decode error`
    PORTCULLIS_DROP_REASON_DECODE_ERROR = 1,
    // `stream error`
    PORTCULLIS_DROP_REASON_STREAM_ERROR = 2,
    // `applayer error`
    PORTCULLIS_DROP_REASON_APPLAYER_ERROR = 3,
    // `rules`
    PORTCULLIS_DROP_REASON_RULES = 4,
    // `threshold detection_filter`
    PORTCULLIS_DROP_REASON_THRESHOLD_DETECTION_FILTER = 5,
} PortcullisDropReason;

// How much a message matters.
typedef enum PortcullisLogLevel {
    // Something failed.
    PORTCULLIS_LOG_LEVEL_ERROR = 0,
    // Something is not as it should be.
    PORTCULLIS_LOG_LEVEL_WARNING = 1,
    // Good to know.
    PORTCULLIS_LOG_LEVEL_INFO = 2,
} PortcullisLogLevel;

// A flow on loan. The pointer is valid during the call it was passed to, and on that thread only.
typedef struct PortcullisFlow PortcullisFlow;

// A packet on loan. The pointer is valid during the call it was passed to, and on that thread only.
typedef struct PortcullisPacket PortcullisPacket;

// Settings of the plugin, while it is being registered.
typedef struct PortcullisSetup PortcullisSetup;

// What a plugin is, exported as the constant `portcullis_plugin_descriptor`. It is looked at before
// any function of the plugin is called.
typedef struct PortcullisDescriptor {
    // The version of the ABI that the plugin was built for.
    uint32_t abi_version;
    // The size of the host's table as the plugin knows it.
    uint32_t host_size;
    // The size of the plugin's table as the plugin knows it.
    uint32_t plugin_size;
    // 0.
    uint32_t reserved;
    // The plugin's name: 1 to 63 letters, digits, `-` and `_`. It tells plugins apart in the
    // configuration, in messages and in counters.
    const char *name;
    // The plugin's own version, for messages.
    const char *version;
} PortcullisDescriptor;

// Runs at the end of the flows on which it was registered, once a flow, after the flow has left the table
// and before its record is written. What it writes to the flow is still reported.
typedef struct PortcullisRemovalHook {
    // A name of its own within the plugin, of the same letters as the plugin's.
    const char *name;
    // The function; `hook` is the hook's number, so that one function may serve several.
    int32_t (*removed)(void *worker, struct PortcullisFlow *flow, uint32_t hook);
} PortcullisRemovalHook;

// Bytes that the plugin wants beside each flow. They are aligned to 8 and 0 when the flow begins.
typedef struct PortcullisStorage {
    // How many: 1 to `PORTCULLIS_STORAGE_MOST`. They are taken from `flow.memcap`.
    uint32_t bytes;
    // 0.
    uint32_t reserved;
    // Frees what the bytes stand for; may be NULL. Called once a flow, after `finish`, if any of the bytes is
    // not 0. Several threads may call it at once, each for flows of its own.
    void (*free)(void *bytes);
} PortcullisStorage;

// What a plugin fills in when it is registered. The host has set all of it to 0; what stays 0 is not
// there. Names, and the arrays of hooks and storages, must stay valid until `close`.
//
// Functions that return `int32_t` return `PORTCULLIS_OK`. Anything else is a failure: it is counted, and the
// hook is not run again on that worker; traffic goes on without it. No function may unwind (throw) or longjmp
// out of itself.
typedef struct PortcullisPlugin {
    // Anything: passed to `worker_new` and `close`. It is shared by all threads, so what it points to
    // must be safe to use from several at once.
    void *user;
    // Called last of all, once, when no worker is left; not called where registering failed.
    void (*close)(void *user);
    // Makes the state of one worker, and puts it where `state` points. Called for each worker before its
    // first packet; the thread may be another than the worker's. A worker's state is never shared: its
    // functions get it one after another. Without `worker_new` every function gets `user`.
    int32_t (*worker_new)(void *user, uint32_t worker, void **state);
    // Frees the state of one worker, after its last flow has ended. On any thread.
    void (*worker_free)(void *worker);
    // A flow was made for this packet. Runs once a flow, before the first `update`.
    int32_t (*init)(void *worker, struct PortcullisFlow *flow, const struct PortcullisPacket *packet);
    // A packet of the flow was counted. Runs at every packet, the first included, before rules see it,
    // for bypassed flows too. It may change the packet's bytes and ask for the packet to be dropped.
    int32_t (*update)(void *worker, struct PortcullisFlow *flow, struct PortcullisPacket *packet);
    // The flow has ended and its record is written. Runs once a flow.
    int32_t (*finish)(void *worker, struct PortcullisFlow *flow);
    // The removal hooks. A hook's place in this array is its number in calls to the host.
    const struct PortcullisRemovalHook *removal_hooks;
    // The storages. A storage's place in this array is its number in calls to the host.
    const struct PortcullisStorage *storages;
    // How many removal hooks there are.
    uint32_t removal_hook_count;
    // How many storages there are.
    uint32_t storage_count;
    // Why the plugin refuses to be registered: UTF-8, ended by a NUL.
    char error[PORTCULLIS_ERROR_BYTES];
} PortcullisPlugin;

// One end of a flow.
typedef struct PortcullisEndpoint {
    // The address in network byte order; IPv4 in its mapped form, `::ffff:a.b.c.d`.
    uint8_t address[16];
    // The port; 0 where the protocol has none.
    uint16_t port;
} PortcullisEndpoint;

// Packets and bytes in one direction of a flow.
typedef struct PortcullisCounts {
    // Packets.
    uint64_t packets;
    // Bytes of their frames, link header included.
    uint64_t bytes;
} PortcullisCounts;

// A part of a packet's bytes.
typedef struct PortcullisSpan {
    // Where it begins.
    uint32_t offset;
    // How long it is.
    uint32_t length;
} PortcullisSpan;

// What a plugin may call: valid, unchanged, as long as the process. None of the functions blocks or
// unwinds; with NULL for a flow or a packet they do nothing and give 0.
//
// `setting` may be called while the plugin is being registered, `log` at any time and on any thread,
// everything else only during a call that was passed the flow or the packet, with that pointer. Times are
// in nanoseconds since 1970-01-01.
typedef struct PortcullisHost {
    // The version of the ABI that the host speaks.
    uint32_t abi_version;
    // The size of this table: what is beyond it is not there.
    uint32_t size;
    // The value of a setting in `[plugins.config.NAME]`, NUL-terminated UTF-8; NULL where it is not set. Valid
    // until registering returns. A setting that is there and never asked for is an error.
    const char *(*setting)(const struct PortcullisSetup *setup, const char *key);
    // Writes a line (NUL-terminated UTF-8) to the log, of a level of `PortcullisLogLevel`. It may wait for
    // the log: not for every packet.
    void (*log)(uint32_t level, const char *text);
    // The engine's time, which never goes back; in a replay that of the capture.
    uint64_t (*flow_now)(const struct PortcullisFlow *flow);
    // Unique in the process and across its restarts, 1 to 2^53 - 1: `flow_id` of records.
    uint64_t (*flow_id)(const struct PortcullisFlow *flow);
    // Who sent its first packet.
    struct PortcullisEndpoint (*flow_client)(const struct PortcullisFlow *flow);
    // The other end.
    struct PortcullisEndpoint (*flow_server)(const struct PortcullisFlow *flow);
    // 4 or 6.
    uint8_t (*flow_ip_version)(const struct PortcullisFlow *flow);
    // The protocol (IANA number).
    uint8_t (*flow_protocol)(const struct PortcullisFlow *flow);
    // Writes up to 3 VLAN ids of its first packet to `ids`, outermost first; gives how many.
    uint32_t (*flow_vlans)(const struct PortcullisFlow *flow, uint16_t *ids);
    // The port its first packet came in on; ports of pair n are 2n and 2n+1.
    uint8_t (*flow_ingress)(const struct PortcullisFlow *flow);
    // A state of `PortcullisFlowState`.
    uint32_t (*flow_state)(const struct PortcullisFlow *flow);
    // A reason of `PortcullisEndReason`.
    uint32_t (*flow_end_reason)(const struct PortcullisFlow *flow);
    // Bits of `PortcullisFlowFlags`.
    uint32_t (*flow_flags)(const struct PortcullisFlow *flow);
    // When its first packet was seen.
    uint64_t (*flow_start)(const struct PortcullisFlow *flow);
    // When its last packet was seen.
    uint64_t (*flow_last_seen)(const struct PortcullisFlow *flow);
    // Packets and bytes in a direction of `PortcullisDirection`.
    struct PortcullisCounts (*flow_counts)(const struct PortcullisFlow *flow, uint32_t direction);
    // How many seconds it may be idle; 0 where `flow-timeouts` decides.
    uint32_t (*flow_idle_timeout)(const struct PortcullisFlow *flow);
    // The bytes of a storage beside the flow, aligned to 8, to be read and written during the call; NULL
    // where there is no storage of this number.
    void *(*flow_storage)(struct PortcullisFlow *flow, uint32_t storage);
    // Sets how many seconds it may be idle, at most 22 days, beyond nine hours rounded up to minutes; 0
    // leaves that to `flow-timeouts` again.
    void (*flow_set_idle_timeout)(struct PortcullisFlow *flow, uint32_t seconds);
    // Lets its further packets through uninspected; they are still counted and updated.
    void (*flow_bypass)(struct PortcullisFlow *flow);
    // Has its packets dropped from this one on, for a reason of `PortcullisDropReason`. False where it was
    // decided before what happens to them (that stays so), and where there is no such reason. Without the
    // power to drop (a tap) they pass.
    bool (*flow_drop)(struct PortcullisFlow *flow, uint32_t reason);
    // Lets its packets pass uninspected from this one on. False where it was decided before.
    bool (*flow_pass)(struct PortcullisFlow *flow);
    // Has a removal hook run at the end of this flow, in the order of registration. True if that is new,
    // false if it was registered before or there is none of this number. During a removal hook: one that was
    // not registered runs too.
    bool (*flow_register_removal_hook)(struct PortcullisFlow *flow, uint32_t hook);
    // Has it not run after all. True if it was registered and has not run.
    bool (*flow_unregister_removal_hook)(struct PortcullisFlow *flow, uint32_t hook);
    // Is the removal hook registered on this flow, run or not?
    bool (*flow_has_removal_hook)(const struct PortcullisFlow *flow, uint32_t hook);
    // The frame, and its length where `length` points.
    const uint8_t *(*packet_bytes)(const struct PortcullisPacket *packet, size_t *length);
    // The frame, to be changed in place: these bytes are sent. It never changes in length; checksums are the
    // plugin's to keep right. NULL where the packet may only be read (`init`).
    uint8_t *(*packet_bytes_mut)(struct PortcullisPacket *packet, size_t *length);
    // The data behind the headers that are known; empty where there is none.
    struct PortcullisSpan (*packet_payload)(const struct PortcullisPacket *packet);
    // When it was captured.
    uint64_t (*packet_timestamp)(const struct PortcullisPacket *packet);
    // A direction of `PortcullisDirection`.
    uint32_t (*packet_direction)(const struct PortcullisPacket *packet);
    // The port it came in on.
    uint8_t (*packet_ingress)(const struct PortcullisPacket *packet);
    // Its length on the wire; more than its bytes where the capture cut it.
    uint32_t (*packet_wire_length)(const struct PortcullisPacket *packet);
    // Asks for it to be dropped, for a reason of `PortcullisDropReason`; the first reason counts. False where
    // the packet may only be read (`init`), and where there is no such reason. Without the power to drop (a
    // tap) it passes.
    bool (*packet_drop)(struct PortcullisPacket *packet, uint32_t reason);
} PortcullisHost;

#if defined(__GNUC__)
#define PORTCULLIS_EXPORT __attribute__((visibility("default")))
#else
#define PORTCULLIS_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Exports the descriptor. Once in a plugin, outside of any function, with two string literals.
#define PORTCULLIS_PLUGIN(NAME, VERSION) \
    PORTCULLIS_EXPORT extern const PortcullisDescriptor portcullis_plugin_descriptor; \
    const PortcullisDescriptor portcullis_plugin_descriptor = { \
        PORTCULLIS_ABI_VERSION, sizeof(PortcullisHost), sizeof(PortcullisPlugin), 0, NAME, VERSION}

// The function that a plugin must have. It is called once, before any worker starts: it fills in `plugin`, may
// keep `host`, and returns PORTCULLIS_OK, or leaves a message in `plugin->error` and returns PORTCULLIS_FAILED.
PORTCULLIS_EXPORT int32_t portcullis_plugin_register(const PortcullisHost *host,
                                                     const PortcullisSetup *setup,
                                                     PortcullisPlugin *plugin);

#ifdef __cplusplus
} // extern "C"
#endif
