#include "app/run.h"

#include "app/options.h"
#include "app/progress.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/state.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { STATUS_TRIPLE = 3, STATUS_LIMIT = 5, STATUS_OTHER = 1, STATUS_SIGNAL = 130 };

static void print_log(void *ctx, const struct log_line *line)
{
	(void)ctx;
	if (line->level >= LOG_WARN)
		fprintf(stderr, "nestscope: %s: %s\n", line->topic, line->text);
}

static void announce(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "nestscope: %s\n", line);
}

struct signals {
	int fd;
	struct l0 *l;
};

static void on_signal(void *ctx, short revents)
{
	struct signals *s = ctx;
	struct signalfd_siginfo info;
	(void)revents;
	if (read(s->fd, &info, sizeof(info)) == sizeof(info))
		l0_interrupt(s->l);
}

static void catch_signals(struct signals *s, struct l0 *l)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	s->l = l;
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd >= 0)
		loop_add(l->loop, s->fd, POLLIN, on_signal, s);
}

static int status_of(const struct l0_stop *stop, const struct options *o)
{
	switch (stop->why) {
	case L0_POWER_OFF:
		return 0;
	case L0_DEBUG_EXIT:
		return (int)((stop->value << 1 | 1) & 0xff);
	case L0_TRIPLE:
		fprintf(stderr, "nestscope: triple fault on vCPU %u\n", stop->vcpu);
		return STATUS_TRIPLE;
	case L0_LIMIT:
		return o->max_insns ? STATUS_LIMIT : STATUS_OTHER;
	case L0_DEAD:
		fprintf(stderr, "nestscope: every vCPU has halted with interrupts off\n");
		return STATUS_OTHER;
	case L0_INTERRUPT:
		return STATUS_SIGNAL;
	case L0_OBSERVER:
	case L0_RESET:
		break;
	}
	return STATUS_OTHER;
}

/* Commands that need no guest to have run; the rest belongs to the front ends. */
static void after_run(const struct options *o, struct l0 *l)
{
	for (unsigned i = 0; i < o->scripts; i++)
		if (!o->script[i].is_file && !strcmp(o->script[i].text, "hash")) {
			struct state_hash h = l0_hash(l);
			printf("%016llx%016llx\n", (unsigned long long)h.hi, (unsigned long long)h.lo);
		}
}

static int run(struct options *o)
{
	struct err e = {0};
	struct progress progress = {0};
	struct signals signals;
	o->machine.announce = announce;
	struct l0 *l = l0_new(&o->machine, &e);
	if (!l) {
		fprintf(stderr, "nestscope: %s\n", e.msg);
		return e.status;
	}
	log_sink(l->log, print_log, NULL);
	catch_signals(&signals, l);
	bool shared = !strcmp(o->machine.serial[0], "stdio") && isatty(STDOUT_FILENO);
	if (isatty(STDERR_FILENO) && !shared)
		progress_start(&progress, l);
	struct l0_limits lim = {.retired = o->max_insns};
	struct l0_stop stop = l0_run(l, &lim);
	progress_clear(&progress);
	int status = status_of(&stop, o);
	if (stop.why == L0_TRIPLE && o->crash_file && !l0_save(l, o->crash_file, &e))
		fprintf(stderr, "nestscope: %s\n", e.msg);
	after_run(o, l);
	l0_free(l);
	return status;
}

int app_run(int argc, char **argv)
{
	struct options o;
	struct err e = {0};
	int status = 0;
	if (!options_parse(&o, argc, argv, &e)) {
		fprintf(stderr, "nestscope: %s\n", e.msg);
		status = e.status;
	} else if (o.help) {
		struct buf out = {0};
		options_help(&out);
		fputs(out.data, stdout);
		buf_done(&out);
	} else {
		status = run(&o);
	}
	options_done(&o);
	return status;
}
