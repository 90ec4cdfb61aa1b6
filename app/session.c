#include "app/session.h"

#include "base/log.h"
#include "base/loop.h"
#include "gdbstub/gdbstub.h"
#include "introspect/expr.h"
#include "introspect/live.h"
#include "introspect/machine.h"
#include "introspect/symbols.h"
#include "machine/serial_backend.h"
#include "plugins/plugins.h"
#include "tui/tui.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_OTHER = 1, STATUS_TRIPLE = 3, STATUS_LIMIT = 5, STATUS_SIGNAL = 130 };

static void print_log(void *ctx, const struct log_line *line)
{
	struct session *ss = ctx;
	if (line->level >= LOG_WARN && !ss->tui)
		fprintf(stderr, "nestscope: %s: %s\n", line->topic, line->text);
}

static void announce(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "nestscope: %s\n", line);
}

/* --- signals ---------------------------------------------------------------- */

static void on_signal(void *ctx, short revents)
{
	struct session *ss = ctx;
	struct signalfd_siginfo info;
	(void)revents;
	if (read(ss->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	ss->signalled = true;
	if (info.ssi_signo == SIGTERM || !ss->o->machine.no_stdin) {
		ss->over = true;
		ss->status = STATUS_SIGNAL;
	}
	intro_pause(ss->s);
}

static void catch_signals(struct session *ss)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	ss->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (ss->signal_fd >= 0)
		ss->signal_watch = loop_add(ss->l->loop, ss->signal_fd, POLLIN, on_signal, ss);
}

/* --- the loop ----------------------------------------------------------------- */

static int timeout_until(uint64_t wake, int max_ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	if (wake == UINT64_MAX)
		return max_ms;
	if (wake <= now)
		return 0;
	uint64_t ms = (wake - now + 999999) / 1000000;
	return max_ms >= 0 && ms > (uint64_t)max_ms ? max_ms : (int)(ms > 1000 ? 1000 : ms);
}

void session_turn(struct session *ss, int max_ms)
{
	uint64_t wake = UINT64_MAX;
	enum run_result r = intro_run_slice(ss->s, 0, &wake);
	int timeout = r == RUN_RUNNING ? 0 : r == RUN_WAITING ? timeout_until(wake, max_ms) : max_ms;
	loop_poll(ss->l->loop, timeout);
	if (ss->l->progress && intro_running(ss->s)) /* a prompt stands alone */
		ss->l->progress(ss->l->progress_ctx, ss->l);
	if (ss->tui && !tui_tick(ss->tui))
		ss->over = true;
}

const struct stop_event *session_wait(void *session, struct intro *s)
{
	struct session *ss = session;
	const bool lend = ss->o->machine.no_stdin && !ss->tui;
	if (lend)
		l0_lend_stdin(ss->l, true);
	while (intro_running(s))
		session_turn(ss, 50);
	if (lend)
		l0_lend_stdin(ss->l, false);
	progress_clear(&ss->progress);
	return intro_last_stop(s);
}

/* What commands answered: on stdout, or in the panel for it. */
static void print(struct session *ss, const struct buf *out)
{
	if (ss->tui)
		tui_print(ss->tui, out->data, out->len);
	else if (out->len)
		fwrite(out->data, 1, out->len, stdout);
	fflush(stdout);
}

/* Has the reader of a long answer gone, or interrupted it? At a prompt Ctrl-C
 * ends the answer alone. */
static bool unwanted(struct session *ss)
{
	struct signalfd_siginfo info;
	sigset_t set;
	if (!ss->tui && ferror(stdout))
		return true;
	if (sigpending(&set) || !(sigismember(&set, SIGINT) || sigismember(&set, SIGTERM)))
		return false;
	if (ss->o->machine.no_stdin && !sigismember(&set, SIGTERM))
		(void)!read(ss->signal_fd, &info, sizeof(info));
	return true;
}

static bool print_some(void *ctx, struct buf *out)
{
	struct session *ss = ctx;
	print(ss, out);
	buf_clear(out);
	return !unwanted(ss);
}

bool session_command(struct session *ss, const char *line)
{
	struct buf out = {0};
	const struct output_flow flow = {print_some, ss};
	bool ok = command_flow(&ss->shell, line, &out, &flow);
	print(ss, &out);
	buf_done(&out);
	return ok;
}

/* --- how it ended -------------------------------------------------------------- */

static int status_of(const struct session *ss, const struct stop_event *ev)
{
	switch (ev->why) {
	case WHY_POWEROFF:
		return 0;
	case WHY_EXIT:
		return ev->status;
	case WHY_SHUTDOWN:
		return STATUS_TRIPLE;
	case WHY_LIMIT:
		return ss->o->max_insns ? STATUS_LIMIT : STATUS_OTHER;
	case WHY_IDLE:
		return STATUS_OTHER;
	default:
		return ss->signalled ? STATUS_SIGNAL : 0;
	}
}

static void tell_end(struct session *ss, const struct stop_event *ev)
{
	struct err e = {0};
	if (ev->why == WHY_SHUTDOWN || ev->why == WHY_IDLE)
		fprintf(stderr, "nestscope: %s (vCPU %u)\n", ev->text, ev->at.vcpu);
	if (ev->why == WHY_SHUTDOWN && ss->o->crash_file &&
		!intro_save(ss->s, ss->o->crash_file, &e))
		fprintf(stderr, "nestscope: %s\n", e.msg);
}

/* --- the ways to run ------------------------------------------------------------ */

/* Runs to a stop that is nobody's: the end, --until, --max-insns. */
static bool run_to_end(struct session *ss)
{
	struct err e = {0};
	if (!intro_continue(ss->s, &e)) {
		fprintf(stderr, "nestscope: %s\n", e.msg);
		return false;
	}
	session_wait(ss, ss->s);
	tell_end(ss, intro_last_stop(ss->s));
	return true;
}

/* Does the line make the machine run? */
static bool runs(const char *line)
{
	static const char *const word[] = {"continue", "step", "stepi", "next", "finish", "until",
		"expect"};
	size_t n = strcspn(line, " ");
	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		if (n == strlen(word[i]) && !strncmp(line, word[i], n))
			return true;
	return false;
}

static bool one_script(struct session *ss, unsigned i)
{
	struct buf out = {0};
	struct err e = {0};
	const struct output_flow flow = {print_some, ss};
	if (!ss->o->script[i].is_file)
		return session_command(ss, ss->o->script[i].text);
	bool ok = command_source(&ss->shell, ss->o->script[i].text, &out, &flow, &e);
	print(ss, &out);
	if (!ok && e.status) {
		fprintf(stderr, "nestscope: %s\n", e.msg);
		ss->status = e.status;
	}
	buf_done(&out);
	return ok;
}

static bool scripts(struct session *ss)
{
	for (unsigned i = 0; i < ss->o->scripts && !ss->over && !ss->shell.quit; i++) {
		if (!one_script(ss, i)) {
			ss->status = ss->status ? ss->status : STATUS_OTHER;
			return false;
		}
	}
	return true;
}

/* Until a client quits, or the machine is over and nobody asks any more. */
static void serve_control(struct session *ss)
{
	if (!intro_last_stop(ss->s)->over && !control_served(ss->control))
		fprintf(stderr, "nestscope: the machine stands; it waits for a client at %s\n",
			ss->o->control);
	while (!ss->over && !ss->shell.quit && (!intro_last_stop(ss->s)->over ||
			intro_running(ss->s) || control_clients(ss->control)))
		session_turn(ss, 1000);
}

/* Without a terminal: commands at position 0, or after the run when a limit is
 * given and they only read; without commands the guest just runs. */
static void batch(struct session *ss)
{
	const struct options *o = ss->o;
	bool first = !o->scripts && !ss->gdb && !ss->control;
	bool moves = false;
	for (unsigned i = 0; i < o->scripts; i++)
		moves |= o->script[i].is_file || runs(o->script[i].text);
	if ((o->max_insns || o->until) && !moves)
		first = true;
	if (first && !run_to_end(ss))
		ss->status = STATUS_OTHER;
	bool ok = scripts(ss);
	while (ss->gdb && !o->scripts && !ss->over && !intro_last_stop(ss->s)->over)
		session_turn(ss, 1000);
	if (ok && ss->control)
		serve_control(ss);
	const struct stop_event *last = intro_last_stop(ss->s);
	if (ss->shell.quit)
		ss->status = ss->shell.status;
	else if (ok && !ss->status)
		ss->status = status_of(ss, last);
}

static void interactive(struct session *ss)
{
	if (!scripts(ss))
		ss->status = 0; /* said already; the user goes on by hand */
	if (ss->tui && !ss->gdb && !ss->o->scripts)
		intro_continue(ss->s, NULL);
	if (!ss->tui)
		ss->prompt = prompt_new(ss);
	while (!ss->over && !ss->shell.quit)
		session_turn(ss, ss->tui ? 50 : 1000);
	if (ss->prompt)
		prompt_free(ss->prompt);
	ss->prompt = NULL;
	if (ss->shell.quit)
		ss->status = ss->shell.status;
}

static bool settings(struct session *ss, struct err *e)
{
	const struct options *o = ss->o;
	if (o->max_insns)
		intro_set_limit(ss->s, o->max_insns);
	if (o->until && !intro_set_until(ss->s, o->until, e))
		return false;
	if (!o->trace)
		return true;
	struct buf line = {0}, out = {0};
	buf_fmt(&line, "trace %s", o->trace);
	bool ok = command_run(&ss->shell, line.data, &out);
	if (!ok)
		err_set(e, ERR_FILE, "--trace: %s", out.data ? out.data : "failed");
	buf_done(&line);
	buf_done(&out);
	return ok;
}

/* Names of the guest's own file, where it has some: an ELF file, or the demo's
 * image, which is written where a path leads to it. */
static void load_symbols(struct session *ss)
{
	const struct load_config *load = &ss->o->machine.load;
	char path[64];
	if (!load->image) {
		if (load->kernel)
			intro_symbols_load(ss->s, LEVEL_L1, load->kernel, 0, NULL);
		return;
	}
	char dir[] = "/tmp/nestscope-XXXXXX";
	if (!mkdtemp(dir))
		return;
	snprintf(path, sizeof(path), "%s/l1.elf", dir);
	FILE *f = fopen(path, "we");
	if (f && fwrite(load->image, load->image_size, 1, f) == 1 && !fflush(f))
		intro_symbols_load(ss->s, LEVEL_L1, path, 0, NULL);
	if (f)
		fclose(f);
	unlink(path);
	rmdir(dir);
}

static bool open_session(struct session *ss, struct options *o, struct err *e)
{
	ss->l = l0_new(&o->machine, e);
	if (!ss->l)
		return false;
	ss->s = intro_new(live_backend(ss->l));
	shell_init(&ss->shell, ss->s);
	ss->shell.wait = session_wait;
	ss->shell.wait_ctx = ss;
	ss->shell.json = o->json;
	log_sink(ss->l->log, print_log, ss);
	catch_signals(ss);
	load_symbols(ss);
	return settings(ss, e) && fronts_open(ss, e);
}

static void close_session(struct session *ss)
{
	fronts_close(ss);
	if (ss->s) {
		shell_done(&ss->shell);
		intro_free(ss->s);
	}
	if (ss->l)
		l0_free(ss->l);
	if (ss->signal_fd >= 0)
		close(ss->signal_fd);
}

/* The TUI has the whole terminal; its console panel shows the first port. */
static void leave_screen(struct l0_config *m)
{
	for (unsigned i = 0; i < L0_SERIALS; i++)
		if (m->serial[i] && serial_host_is_stdio(m->serial[i]))
			m->serial[i] = NULL;
	if (m->console && serial_host_is_stdio(m->console))
		m->console = "none";
}

int session_run(const struct options *options)
{
	struct options o = *options;
	struct session ss = {.o = &o, .signal_fd = -1};
	struct err e = {0};
	bool prompt = !o.batch && !o.tui && isatty(STDIN_FILENO);
	o.machine.announce = announce;
	o.machine.no_stdin = prompt || o.tui;
	if (o.tui)
		leave_screen(&o.machine);
	char long_demo[256];
	const struct load_config *load = &o.machine.load;
	if (o.tui && load->image && load->append && !strstr(load->append, "count=")) {
		/* somebody watches: the scenario goes on until they leave */
		snprintf(long_demo, sizeof(long_demo), "%s count=2000000000", load->append);
		o.machine.load.append = long_demo;
	}
	if (!open_session(&ss, &o, &e)) {
		close_session(&ss);
		fprintf(stderr, "nestscope: %s\n", e.msg);
		return e.status;
	}
	bool shared = o.machine.serial[0] && !strcmp(o.machine.serial[0], "stdio") &&
		isatty(STDOUT_FILENO);
	if (isatty(STDERR_FILENO) && !shared && !o.tui)
		progress_start(&ss.progress, ss.l);
	if (prompt || o.tui)
		interactive(&ss);
	else
		batch(&ss);
	close_session(&ss);
	return ss.status;
}
