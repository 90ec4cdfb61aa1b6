/* tables PAGE          - a manual page on stdin, its sections written out
 * tables --names        section, tab, name of every row
 * tables --complete SHELL
 *
 * A page holds lines
 *
 *   .\" % SECTION         a tagged list of all rows, with group titles
 *   .\" % SECTION names   the names alone, in one paragraph
 *
 * Their place is taken by the rows of man/rows.c.
 */
#include "man/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A literal word or words as an argument of a macro. */
static void put_literal(const char *s)
{
	fputs(" \"\\&", stdout);
	for (; *s; s++)
		switch (*s) {
		case '\\': fputs("\\e", stdout); break;
		case '"': fputs("\\(dq", stdout); break;
		case '\'': fputs("\\(aq", stdout); break;
		case '`': fputs("\\(ga", stdout); break;
		case '^': fputs("\\(ha", stdout); break;
		case '~': fputs("\\(ti", stdout); break;
		case '-': fputs("\\-", stdout); break;
		default: putchar(*s);
		}
	putchar('"');
}

/* Running text: one sentence a line, `code` in quotes. */
static void put_text(const char *s)
{
	bool code = false, start = true;
	for (; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			fputs("\\&", stdout);
		start = false;
		if (*s == '`')
			fputs((code = !code) ? "\\(oq" : "\\(cq", stdout);
		else if (*s == '\\')
			fputs("\\e", stdout);
		else if (*s == ' ' && s[-1] == '.' && s[1] >= 'A' && s[1] <= 'Z')
			putchar('\n'), start = true;
		else
			putchar(*s);
	}
}

static void put_sentence(const struct row *r)
{
	if (r->text)
		put_text(r->text);
	if (r->many)
		fputs("; may be given again", stdout);
	if (r->text || r->many)
		puts(".");
	if (r->more && *r->more) {
		put_text(r->more);
		putchar('\n');
	}
}

static void put_item(const struct section *s, const struct row *r)
{
	bool option = !strcmp(s->macro, "Fl");
	char *dashed = NULL;
	if (asprintf(&dashed, "%s%s", option && r->name[1] ? "-" : "", r->name) < 0)
		abort();
	printf(".It %s", s->macro);
	put_literal(dashed);
	free(dashed);
	if (r->args && *r->args) {
		fputs(option && *r->args == '[' ? " Ns Ar" : s->macro[0] == 'D' ? " Pq" : " Ar", stdout);
		put_literal(r->args);
	}
	putchar('\n');
}

static void put_list(const struct section *s)
{
	struct row r;
	const char *group = NULL;
	bool open = false;
	for (unsigned i = 0; s->row(i, &r); i++) {
		if (!open || (r.group && (!group || strcmp(group, r.group)))) {
			if (open)
				puts(".El");
			if (r.group) {
				fputs(".Ss", stdout);
				put_literal(r.group);
				putchar('\n');
			}
			puts(".Bl -tag -width Ds");
			group = r.group;
			open = true;
		}
		put_item(s, &r);
		put_sentence(&r);
	}
	if (open)
		puts(".El");
}

static void put_names(const struct section *s)
{
	struct row r, next;
	bool more = s->row(0, &r);
	for (unsigned i = 1; more; i++) {
		more = s->row(i, &next);
		printf(".%s", s->macro);
		put_literal(r.name);
		puts(more ? " ," : " .");
		r = next;
	}
}

static int expand(void)
{
	char *line = NULL;
	size_t size = 0;
	int status = 0;
	while (getline(&line, &size, stdin) > 0) {
		const char *name = line + 6;
		if (strncmp(line, ".\\\" % ", 6)) {
			fputs(line, stdout);
			continue;
		}
		size_t len = strcspn(name, " \n");
		const struct section *s = section_find(name, len);
		if (!s) {
			fprintf(stderr, "tables: no section %s", name);
			status = 1;
		} else if (strstr(name + len, "names")) {
			put_names(s);
		} else {
			put_list(s);
		}
	}
	free(line);
	return status;
}

int main(int argc, char **argv)
{
	struct row r;
	if (argc == 3 && !strcmp(argv[1], "--complete"))
		return !complete_print(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "--names")) {
		const struct section *s;
		for (unsigned k = 0; (s = section_at(k)); k++)
			for (unsigned i = 0; s->row(i, &r); i++)
				printf("%s\t%s\n", s->name, r.name);
		return 0;
	}
	return expand();
}
