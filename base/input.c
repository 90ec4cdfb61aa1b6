#include "base/input.h"

#include "base/buf.h"
#include "base/hex.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_HEAD "nestscope-inputs 1\n"

struct inputs {
	struct clock *clock;
	struct {
		input_fn *fn;
		void *ctx;
	} taker[INPUT_KIND_COUNT];
	struct input *log; /* owned, and the data of each */
	size_t count, cap;
	struct input *play; /* owned; NULL unless a log is being played */
	size_t plays, next;
};

static const char *const kind_name[] = {
#define INPUT(e, n) [INPUT_##e] = n,
	INPUT_KINDS(INPUT)
#undef INPUT
};

struct inputs *inputs_new(struct clock *clock)
{
	struct inputs *in = xalloc(sizeof(*in));
	in->clock = clock;
	return in;
}

static void free_entries(struct input *e, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((void *)e[i].data);
	free(e);
}

void inputs_free(struct inputs *in)
{
	if (!in)
		return;
	free_entries(in->log, in->count);
	free_entries(in->play, in->plays);
	free(in);
}

void inputs_register(struct inputs *in, enum input_kind kind, input_fn *fn, void *ctx)
{
	in->taker[kind].fn = fn;
	in->taker[kind].ctx = ctx;
}

static void append(
	struct input **list, size_t *count, size_t *cap, const struct input *e, const void *data)
{
	if (*count == *cap) {
		*cap = *cap ? *cap * 2 : 64;
		*list = xresize(*list, *cap * sizeof(**list));
	}
	uint8_t *copy = xalloc(e->len ? e->len : 1);
	if (e->len)
		memcpy(copy, data, e->len);
	(*list)[*count] = *e;
	(*list)[*count].data = copy;
	++*count;
}

static void deliver(
	struct inputs *in, enum input_kind kind, uint32_t target, const void *data, uint32_t len)
{
	struct input e = {clock_event(in->clock), kind, target, len, NULL};
	append(&in->log, &in->count, &in->cap, &e, data);
	if (in->taker[kind].fn)
		in->taker[kind].fn(in->taker[kind].ctx, target, in->log[in->count - 1].data, len);
}

bool input_put(
	struct inputs *in, enum input_kind kind, uint32_t target, const void *data, uint32_t len)
{
	if (in->play || len > INPUT_MAX_BYTES)
		return false;
	deliver(in, kind, target, data, len);
	return true;
}

size_t inputs_count(const struct inputs *in)
{
	return in->count;
}

const struct input *inputs_at(const struct inputs *in, size_t i)
{
	return i < in->count ? &in->log[i] : NULL;
}

const char *input_kind_name(enum input_kind kind)
{
	return (unsigned)kind < INPUT_KIND_COUNT ? kind_name[kind] : "?";
}

bool inputs_save(const struct inputs *in, const char *path, struct err *e)
{
	FILE *f = fopen(path, "w");
	if (!f)
		return err_errno(e, "input log %s", path);
	fputs(FILE_HEAD, f);
	struct buf b = {0};
	for (size_t i = 0; i < in->count; i++) {
		const struct input *x = &in->log[i];
		buf_clear(&b);
		buf_fmt(&b, "%" PRIu64 " %" PRIu64 " %s %" PRIu32 " ", x->at.clock, x->at.ordinal,
			input_kind_name(x->kind), x->target);
		if (x->len)
			buf_hex(&b, x->data, x->len);
		else
			buf_char(&b, '-');
		buf_char(&b, '\n');
		fwrite(b.data, 1, b.len, f);
	}
	buf_done(&b);
	bool ok = !ferror(f);
	if (fclose(f) || !ok)
		return err_errno(e, "input log %s", path);
	return true;
}

static bool parse_kind(const char *name, enum input_kind *kind)
{
	for (unsigned k = 0; k < INPUT_KIND_COUNT; k++)
		if (!strcmp(kind_name[k], name)) {
			*kind = k;
			return true;
		}
	return false;
}

/* One line of the file; data is left in *hex (within the line). */
static bool parse_line(char *line, struct input *x, char **hex)
{
	char name[32];
	int at = 0;
	if (sscanf(line, "%" SCNu64 " %" SCNu64 " %31s %" SCNu32 " %n", &x->at.clock,
		    &x->at.ordinal, name, &x->target, &at) != 4 ||
		!at || !parse_kind(name, &x->kind))
		return false;
	*hex = line + at;
	size_t n = strcspn(*hex, "\n");
	if ((*hex)[n] != '\n')
		return false;
	(*hex)[n] = 0;
	if (!strcmp(*hex, "-")) {
		x->len = 0;
		return true;
	}
	if (!n || n % 2 || n / 2 > INPUT_MAX_BYTES)
		return false;
	x->len = (uint32_t)(n / 2);
	return hex_decode(*hex, *hex, x->len);
}

static bool read_file(
	FILE *f, const char *path, struct input **list, size_t *count, struct err *e)
{
	size_t cap = 0, room = 2 * INPUT_MAX_BYTES + 128;
	char *line = xalloc(room), *hex;
	bool ok = fgets(line, (int)room, f) && !strcmp(line, FILE_HEAD);
	if (!ok)
		err_set(e, ERR_FILE, "%s is not an input log (first line is not \"%.*s\")", path,
			(int)strlen(FILE_HEAD) - 1, FILE_HEAD);
	for (unsigned n = 2; ok && fgets(line, (int)room, f); n++) {
		struct input x = {0};
		uint64_t last = *count ? (*list)[*count - 1].at.clock : 0;
		ok = parse_line(line, &x, &hex) && x.at.clock >= last;
		if (ok)
			append(list, count, &cap, &x, hex);
		else
			err_set(e, ERR_FILE, "%s line %u is damaged: want CLOCK ORDINAL KIND TARGET HEX "
				"in rising order", path, n);
	}
	free(line);
	return ok;
}

bool inputs_play(struct inputs *in, const char *path, struct err *e)
{
	FILE *f = fopen(path, "r");
	if (!f)
		return err_errno(e, "input log %s", path);
	struct input *list = NULL;
	size_t count = 0;
	bool ok = read_file(f, path, &list, &count, e);
	fclose(f);
	if (ok && count && list[0].at.clock < in->clock->now)
		ok = err_set(e, ERR_FILE, "%s begins at %" PRIu64 ", before the present %" PRIu64, path,
			list[0].at.clock, in->clock->now);
	if (!ok) {
		free_entries(list, count);
		return false;
	}
	free_entries(in->play, in->plays);
	in->play = list ? list : xalloc(sizeof(*list));
	in->plays = count;
	in->next = 0;
	return true;
}

uint64_t inputs_next(const struct inputs *in)
{
	return in->next < in->plays ? in->play[in->next].at.clock : CLOCK_NEVER;
}

bool inputs_due(const struct inputs *in)
{
	uint64_t next = inputs_next(in);
	return next < in->clock->now ||
	       (next == in->clock->now && in->play[in->next].at.ordinal <= in->clock->ordinal);
}

void inputs_run(struct inputs *in, bool late)
{
	while (inputs_due(in) || (late && inputs_next(in) <= in->clock->now)) {
		const struct input *x = &in->play[in->next++];
		deliver(in, x->kind, x->target, x->data, x->len);
	}
}
