/* One run of nestscope: the machine, the session on it, and the front ends
 * that the options asked for, around one event loop.
 */
#ifndef APP_SESSION_H
#define APP_SESSION_H

#include "app/options.h"
#include "app/progress.h"
#include "command/command.h"

struct control;
struct gdbstub;
struct plugins;
struct prompt;
struct tui;

struct session {
	const struct options *o;
	struct l0 *l;        /* owned */
	struct intro *s;     /* owned */
	struct shell shell;
	struct gdbstub *gdb; /* owned; NULL: none */
	struct tui *tui;     /* owned; NULL: none */
	struct plugins *plugins; /* owned */
	struct control *control; /* owned; NULL: none */
	struct prompt *prompt; /* owned; NULL: none */
	struct progress progress;
	int signal_fd, signal_watch;
	bool signalled;      /* SIGINT or SIGTERM came */
	bool over;           /* the machine ended, or somebody quit */
	int status;          /* exit status */
};

/* Runs what the options say to the end; returns the exit status. */
int session_run(const struct options *o);

/* One round of the event loop: a slice when the machine runs, then sockets and
 * keys. Waits up to max_ms when there is nothing to run. */
void session_turn(struct session *ss, int max_ms);

/* Until the machine stands still; the front ends stay served. */
const struct stop_event *session_wait(void *session, struct intro *s);

/* Runs a line of the command table and prints its output. */
bool session_command(struct session *ss, const char *line);

/* --- app/prompt.c: the readline prompt */
struct prompt *prompt_new(struct session *ss);
void prompt_free(struct prompt *p);
/* Takes the prompt away for output, and shows it again. */
void prompt_hide(struct prompt *p);
void prompt_show(struct prompt *p);

/* --- app/fronts.c: the stub, the TUI, plugins and the control socket from the options */
bool fronts_open(struct session *ss, struct err *e);
void fronts_close(struct session *ss);

#endif
