/* The readline prompt, as one more watcher of the event loop. */
#include "app/session.h"

#include "base/loop.h"
#include "introspect/events.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

struct prompt {
	struct session *ss;
	int watch;
	bool shown;
	char text[64];
};

/* readline's callbacks carry no context; it has one prompt per process. */
static struct prompt *the_prompt(struct prompt *set)
{
	static struct prompt *p;
	if (set)
		p = set;
	return p;
}

static char *complete_one(const char *text, int state)
{
	struct prompt *p = the_prompt(NULL);
	char word[128];
	size_t from;
	(void)text;
	char *line = strndup(rl_line_buffer, (size_t)rl_point);
	bool found = command_complete(&p->ss->shell, line, (size_t)state, word, NULL, &from);
	free(line);
	if (found && word[0] && word[strlen(word) - 1] == '/')
		rl_completion_append_character = 0; /* a folder: what is in it comes next */
	return found ? strdup(word) : NULL;
}

static char **complete(const char *text, int start, int end)
{
	(void)start, (void)end;
	rl_attempted_completion_over = 1;
	return rl_completion_matches(text, complete_one);
}

static void finished(char *line)
{
	struct prompt *p = the_prompt(NULL);
	struct session *ss = p->ss;
	prompt_hide(p);
	if (!line) {
		putchar('\n');
		ss->over = true;
		return;
	}
	if (*line) {
		add_history(line);
		loop_events(ss->l->loop, p->watch, 0); /* keys wait while a run lasts */
		session_command(ss, line);
		loop_events(ss->l->loop, p->watch, POLLIN);
	}
	free(line);
	if (!ss->over && !ss->shell.quit)
		prompt_show(p);
}

static void readable(void *ctx, short revents)
{
	(void)ctx, (void)revents;
	rl_callback_read_char();
}

void prompt_show(struct prompt *p)
{
	struct place at = p->ss->shell.focus;
	snprintf(p->text, sizeof(p->text), "(l%u.%u) ", at.level, at.vcpu);
	rl_callback_handler_install(p->text, finished);
	p->shown = true;
}

void prompt_hide(struct prompt *p)
{
	if (p->shown)
		rl_callback_handler_remove();
	p->shown = false;
}

struct prompt *prompt_new(struct session *ss)
{
	struct prompt *p = xalloc(sizeof(*p));
	p->ss = ss;
	the_prompt(p);
	rl_readline_name = "nestscope";
	rl_attempted_completion_function = complete;
	rl_catch_signals = 0;
	using_history();
	puts("nestscope: `help` lists the commands, `continue` runs the guest.");
	p->watch = loop_add(ss->l->loop, STDIN_FILENO, POLLIN, readable, p);
	prompt_show(p);
	return p;
}

void prompt_free(struct prompt *p)
{
	prompt_hide(p);
	loop_del(p->ss->l->loop, p->watch);
	free(p);
}
