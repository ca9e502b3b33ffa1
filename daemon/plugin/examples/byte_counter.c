// Counts the payload bytes of every flow in memory of its own beside the flow, and writes them to a file when
// the flow has ended: ports of client and server, bytes to the server, bytes to the client.
//
//     cc -shared -fPIC -I include -o byte_counter.so examples/byte_counter.c
//
//     [plugins.config.byte-counter]
//     path = "bytes.txt"

#include "portcullis_plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

PORTCULLIS_PLUGIN("byte-counter", "1.0");

// Beside each flow is a pointer to one of these.
struct counter {
    uint64_t bytes[2];
};

// One for each worker: nobody else touches it.
struct worker {
    FILE *out;
    uint64_t flows;
};

static const PortcullisHost *host;

static void free_counter(void *bytes)
{
    struct counter **place = bytes;
    free(*place);
}

static const PortcullisStorage storages[] = {{sizeof(struct counter *), 0, free_counter}};

// `user` is the file. Several workers write to it at once, which stdio allows.
static int32_t worker_new(void *user, uint32_t number, void **state)
{
    (void)number;
    struct worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        return PORTCULLIS_FAILED;
    worker->out = user;
    *state = worker;
    return PORTCULLIS_OK;
}

static void worker_free(void *state)
{
    struct worker *worker = state;
    char text[64];
    snprintf(text, sizeof(text), "byte-counter: a worker had %" PRIu64 " flows", worker->flows);
    host->log(PORTCULLIS_LOG_LEVEL_INFO, text);
    free(worker);
}

static int32_t init(void *state, PortcullisFlow *flow, const PortcullisPacket *packet)
{
    (void)state;
    (void)packet;
    struct counter **place = host->flow_storage(flow, 0);
    *place = calloc(1, sizeof(**place));
    return *place == NULL ? PORTCULLIS_FAILED : PORTCULLIS_OK;
}

static int32_t update(void *state, PortcullisFlow *flow, PortcullisPacket *packet)
{
    (void)state;
    struct counter **place = host->flow_storage(flow, 0);
    (*place)->bytes[host->packet_direction(packet)] += host->packet_payload(packet).length;
    return PORTCULLIS_OK;
}

static int32_t finish(void *state, PortcullisFlow *flow)
{
    struct worker *worker = state;
    struct counter **place = host->flow_storage(flow, 0);
    worker->flows++;
    fprintf(worker->out, "%u %u %" PRIu64 " %" PRIu64 "\n", host->flow_client(flow).port,
            host->flow_server(flow).port, (*place)->bytes[PORTCULLIS_DIRECTION_TO_SERVER],
            (*place)->bytes[PORTCULLIS_DIRECTION_TO_CLIENT]);
    return PORTCULLIS_OK;
}

static void close_file(void *user)
{
    fclose(user);
}

int32_t portcullis_plugin_register(const PortcullisHost *given, const PortcullisSetup *setup,
                                   PortcullisPlugin *plugin)
{
    host = given;
    const char *path = host->setting(setup, "path");
    if (path == NULL) {
        snprintf(plugin->error, sizeof(plugin->error), "the setting path is missing");
        return PORTCULLIS_FAILED;
    }
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        snprintf(plugin->error, sizeof(plugin->error), "cannot write %s: %s", path, strerror(errno));
        return PORTCULLIS_FAILED;
    }
    plugin->user = out;
    plugin->close = close_file;
    plugin->worker_new = worker_new;
    plugin->worker_free = worker_free;
    plugin->init = init;
    plugin->update = update;
    plugin->finish = finish;
    plugin->storages = storages;
    plugin->storage_count = 1;
    return PORTCULLIS_OK;
}
