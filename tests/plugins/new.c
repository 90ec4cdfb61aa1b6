/* Built for a version that is not there yet. */
#include "nestscope-plugin.h"

extern const uint32_t nestscope_plugin_version;
const uint32_t nestscope_plugin_version = 1000;

int nestscope_plugin_load(struct nestscope_plugin *self, const struct nestscope_host *host);
int nestscope_plugin_load(struct nestscope_plugin *self, const struct nestscope_host *host)
{
	(void)self, (void)host;
	return 0;
}
