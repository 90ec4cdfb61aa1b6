/* `nestscope VIEW SNAPSHOT [ARGUMENT]...`: a command of the command table on a
 * saved machine.
 */
#ifndef APP_OFFLINE_H
#define APP_OFFLINE_H

#include <stdbool.h>

/* Is it a command that only looks, and so can be a VIEW? */
bool app_is_view(const char *name);

/* argv[0] is the view. Returns the exit status. */
int app_view(int argc, char **argv);

/* The names of all views, one a line, to stdout. */
void app_list_views(void);

#endif
