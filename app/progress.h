/* The progress line of long boots, on a terminal's stderr. */
#ifndef APP_PROGRESS_H
#define APP_PROGRESS_H

#include "l0/l0.h"

struct progress {
	uint64_t start_host, last_host, last_retired; /* ns; instructions */
	bool shown;
};

/* Shows it from the second second on, four times a second. */
void progress_start(struct progress *p, struct l0 *l);
void progress_clear(struct progress *p);

#endif
