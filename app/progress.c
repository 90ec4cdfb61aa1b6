#include "app/progress.h"

#include <stdio.h>
#include <time.h>

static uint64_t host_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void show(void *ctx, struct l0 *l)
{
	struct progress *p = ctx;
	uint64_t now = host_ns(), done = l0_retired(l);
	if (now - p->start_host < 1000000000 || now - p->last_host < 250000000)
		return;
	double mips = (double)(done - p->last_retired) * 1000 / (double)(now - p->last_host);
	fprintf(stderr, "\r\033[K%.2fe9 instructions, %.0f MIPS, %.2f s of virtual time",
		(double)done / 1e9, mips, (double)l->clock->now / 1e9);
	fflush(stderr);
	p->last_host = now;
	p->last_retired = done;
	p->shown = true;
}

void progress_start(struct progress *p, struct l0 *l)
{
	*p = (struct progress){.start_host = host_ns()};
	p->last_host = p->start_host;
	l->progress = show;
	l->progress_ctx = p;
}

void progress_clear(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
