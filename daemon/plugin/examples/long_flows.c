// Reports flows that lasted long, by a removal hook: only flows that are found to last get one, all others
// cost nothing at their end. Writes the ports of client and server and how many seconds it was.
//
//     cc -shared -fPIC -I include -o long_flows.so examples/long_flows.c
//
//     [plugins.config.long-flows]
//     path = "long.txt"
//     seconds = 60

#include "portcullis_plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

PORTCULLIS_PLUGIN("long-flows", "1.0");

#define NANOSECONDS UINT64_C(1000000000)
#define REPORT 0

static const PortcullisHost *host;
// Written while the plugin is registered, read by all workers afterwards.
static uint64_t least;

static uint64_t duration(const PortcullisFlow *flow)
{
    return host->flow_last_seen(flow) - host->flow_start(flow);
}

static int32_t report(void *user, PortcullisFlow *flow, uint32_t hook)
{
    (void)hook;
    fprintf(user, "%u %u %" PRIu64 "\n", host->flow_client(flow).port, host->flow_server(flow).port,
            duration(flow) / NANOSECONDS);
    return PORTCULLIS_OK;
}

static const PortcullisRemovalHook hooks[] = {[REPORT] = {"report", report}};

static int32_t update(void *user, PortcullisFlow *flow, PortcullisPacket *packet)
{
    (void)user;
    (void)packet;
    if (duration(flow) >= least)
        host->flow_register_removal_hook(flow, REPORT);
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
    const char *seconds = host->setting(setup, "seconds");
    least = (seconds == NULL ? 60 : strtoull(seconds, NULL, 10)) * NANOSECONDS;
    FILE *out = path == NULL ? NULL : fopen(path, "w");
    if (out == NULL) {
        snprintf(plugin->error, sizeof(plugin->error), "cannot write %s: %s", path == NULL ? "nowhere" : path,
                 path == NULL ? "the setting path is missing" : strerror(errno));
        return PORTCULLIS_FAILED;
    }
    // Without worker_new, every function gets `user`: the file, which several threads may write to.
    plugin->user = out;
    plugin->close = close_file;
    plugin->update = update;
    plugin->removal_hooks = hooks;
    plugin->removal_hook_count = 1;
    return PORTCULLIS_OK;
}
