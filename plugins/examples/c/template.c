/* SPDX-License-Identifier: MIT
 *
 * A plugin to start from: it counts the exits of one reason and answers with
 * their number. Copy this file and change it step by step.
 *
 *	gcc -shared -fPIC $(pkg-config --cflags nestscope-plugin) -o template.so template.c
 *	nestscope run --demo --plugin ./template.so,reason=CPUID
 */

/* Step 1: the one header. */
#include <nestscope-plugin.h>

#include <inttypes.h>
#include <stdio.h>

/* Step 2: say which version of the interface this was built for. */
extern const uint32_t nestscope_plugin_version;
const uint32_t nestscope_plugin_version = NESTSCOPE_PLUGIN_VERSION;

/* Step 3: your own state. The host is there until the plugin is unloaded. */
static const struct nestscope_host *host;
static uint64_t exits;

/* Step 4: a callback. The event is valid until it returns; see struct
 * nestscope_event for what it tells, and the host's table for what can be
 * looked at from here. */
static void on_exit(struct nestscope_plugin *self, void *ctx, const struct nestscope_event *ev)
{
	(void)self, (void)ctx, (void)ev;
	exits++;
}

/* Step 5: a command of your own, with help and completion. */
static int show(struct nestscope_plugin *self, void *ctx, const char *rest,
	struct nestscope_output *out)
{
	char line[64];
	(void)self, (void)ctx, (void)rest;
	snprintf(line, sizeof line, "template: %" PRIu64 " exits", exits);
	host->out_text(out, line);
	return 0;
}

int nestscope_plugin_load(struct nestscope_plugin *self, const struct nestscope_host *table);
void nestscope_plugin_unload(struct nestscope_plugin *self);

/* Step 6: subscribe when loaded. Give every filter its size, and vcpu -1 for
 * all of them; nonzero says that the plugin could not be loaded. */
int nestscope_plugin_load(struct nestscope_plugin *self, const struct nestscope_host *table)
{
	struct nestscope_filter f = {.size = sizeof f, .vcpu = -1, .events = "exit"};
	host = table;
	f.reasons = host->argument(self, "reason");
	if (!host->on(self, &f, on_exit, NULL))
		return 1; /* the host knows why */
	return !host->add_command(self, "template", "", "show how many exits there were", "", show, NULL);
}

/* Step 7: let go of what is yours. Subscriptions, commands, panels and files
 * go by themselves. */
void nestscope_plugin_unload(struct nestscope_plugin *self)
{
	(void)self;
}
