/* Shell completion of the command line, from the option rows. */
#include "man/rows.h"

#include "app/options.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *help;
} first[] = {
#define SUBCOMMAND(name, main, help) {name, help},
#include "app/subcommands.def"
#define VIEW_OF_SNAPSHOT(name) {name, "a view of a snapshot"},
#include "app/subcommands.def"
};

#define FIRST (sizeof(first) / sizeof(first[0]))

static const char *dashes(const struct row *r)
{
	return r->name[1] ? "--" : "-";
}

static bool takes_file(const struct row *r)
{
	return strstr(r->args, "FILE") || !strcmp(r->args, "WHERE");
}

/* The words that a value can be, for "fast|real" and the tables' own names. */
static void put_words(const struct row *r)
{
	const char *table = !strcmp(r->name, "demo") ? "demos" : r->name;
	const struct section *s = section_find(table, strlen(table));
	struct row word;
	if (s) {
		for (unsigned i = 0; s->row(i, &word); i++)
			printf("%s%s", i ? " " : "", word.name);
		return;
	}
	if (takes_file(r))
		return;
	for (const char *p = r->args; *p;) {
		size_t n = strcspn(p, "|,");
		if (*p >= 'a' && *p <= 'z')
			printf("%s%.*s", p == r->args ? "" : " ", (int)strcspn(p, "|,ABCDEFGHIJKLMNOPQRSTUVWXYZ"), p);
		p += n;
		while (*p == '|' || *p == ',')
			p++;
	}
}

static void options(void (*put)(const struct row *r))
{
	const struct section *s = section_find("options", 7);
	struct row r;
	for (unsigned i = 0; s->row(i, &r); i++)
		put(&r);
}

static void bash_word(const struct row *r)
{
	printf(" %s%s", dashes(r), r->name);
}

static void bash_value(const struct row *r)
{
	if (!*r->args)
		return;
	printf("\t%s%s) ", dashes(r), r->name);
	if (takes_file(r)) {
		puts("_nestscope_files ;;");
		return;
	}
	fputs("_nestscope_words '", stdout);
	put_words(r);
	puts("' ;;");
}

static void bash(void)
{
	puts("# bash completion of nestscope\n"
	     "_nestscope_words() { COMPREPLY=($(compgen -W \"$1\" -- \"$cur\")); }\n"
	     "_nestscope_files() { compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); }\n"
	     "_nestscope() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	     "\t[ \"$cur\" = = ] && cur=\n"
	     "\t[ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD - 2]}");
	fputs("\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\t_nestscope_words '", stdout);
	for (size_t i = 0; i < FIRST; i++)
		printf("%s%s", i ? " " : "", first[i].name);
	puts("'\n\t\treturn\n\tfi\n\tcase \"$prev\" in");
	options(bash_value);
	fputs("\tesac\n\t[ -n \"${COMPREPLY[*]}\" ] && return\n\tcase \"${COMP_WORDS[1]}\" in\n"
	      "\trun|linux) _nestscope_words '", stdout);
	options(bash_word);
	puts("' ;;\n\t*) _nestscope_files ;;\n\tesac\n}\ncomplete -F _nestscope nestscope");
}

/* A help sentence inside '...'; brackets and colons mean something to zsh. */
static void quoted(const char *s, bool zsh)
{
	for (; *s; s++)
		if (*s == '\'')
			fputs("'\\''", stdout);
		else if (zsh && strchr("[]:\\", *s))
			printf("\\%c", *s);
		else
			putchar(*s);
}

static void zsh_option(const struct row *r)
{
	printf("\t\t'%s%s%s%s[", r->many ? "*" : "", dashes(r), r->name,
		*r->args == '[' ? "=-" : *r->args ? "=" : "");
	quoted(r->text, true);
	putchar(']');
	if (*r->args) {
		fputs(*r->args == '[' ? "::" : ":", stdout);
		quoted(r->args, true);
		putchar(':');
		if (takes_file(r)) {
			fputs("_files", stdout);
		} else {
			putchar('(');
			put_words(r);
			putchar(')');
		}
	}
	puts("' \\");
}

static void zsh(void)
{
	puts("#compdef nestscope\n"
	     "if (( CURRENT == 2 )); then\n\tlocal -a first=(");
	for (size_t i = 0; i < FIRST; i++) {
		printf("\t\t'%s:", first[i].name);
		quoted(first[i].help, true);
		puts("'");
	}
	puts("\t)\n\t_describe command first\nelif [[ $words[2] == (run|linux) ]]; then\n"
	     "\tshift words\n\t(( CURRENT-- ))\n\t_arguments \\");
	options(zsh_option);
	puts("\t\t'*:: :'\nelse\n\t_files\nfi");
}

static void fish_option(const struct row *r)
{
	printf("complete -c nestscope -n '__fish_seen_subcommand_from run linux' -%c %s", r->name[1] ? 'l' : 's',
		r->name);
	if (*r->args && *r->args != '[')
		fputs(takes_file(r) ? " -rF" : " -x", stdout);
	if (*r->args && !takes_file(r)) {
		fputs(" -a '", stdout);
		put_words(r);
		putchar('\'');
	}
	fputs(" -d '", stdout);
	for (const char *s = r->text; *s; s++)
		printf(*s == '\'' ? "\\'" : "%c", *s);
	puts("'");
}

static void fish(void)
{
	puts("# fish completion of nestscope");
	for (size_t i = 0; i < FIRST; i++) {
		printf("complete -c nestscope -n __fish_use_subcommand -f -a %s -d '%s'\n", first[i].name,
			first[i].help);
	}
	options(fish_option);
}

bool complete_print(const char *shell)
{
	if (!strcmp(shell, "bash"))
		bash();
	else if (!strcmp(shell, "zsh"))
		zsh();
	else if (!strcmp(shell, "fish"))
		fish();
	else
		return false;
	return true;
}
