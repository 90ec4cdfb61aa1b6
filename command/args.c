/* Arguments of a command line: words, quotes, places, addresses. */
#include "command/command.h"
#include "introspect/expr.h"
#include "introspect/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void blanks(struct args *a)
{
	while (isspace((unsigned char)*a->rest))
		a->rest++;
}

/* One word to out (at most max - 1 characters); returns where it ends. */
static const char *scan_word(const char *p, char *out, size_t max)
{
	size_t n = 0;
	char quote = 0;
	int open = 0; /* brackets keep blanks inside a word */
	for (; *p; p++) {
		char c = *p;
		if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? 0 : c;
			continue;
		}
		if (c == '\\' && p[1] && quote == '"')
			c = *++p;
		open += !quote && (c == '[' || c == '(');
		open -= !quote && open && (c == ']' || c == ')');
		if (!quote && !open && isspace((unsigned char)c))
			break;
		if (n + 1 < max)
			out[n++] = c;
	}
	out[n] = 0;
	return p;
}

const char *args_next(struct args *a)
{
	blanks(a);
	if (!*a->rest)
		return NULL;
	a->rest = scan_word(a->rest, a->word, sizeof a->word);
	blanks(a);
	return a->word;
}

bool args_take(struct args *a, const char *word)
{
	char w[64];
	blanks(a);
	const char *end = scan_word(a->rest, w, sizeof w);
	if (!*a->rest || strcmp(w, word))
		return false;
	a->rest = end;
	blanks(a);
	return true;
}

const char *args_rest(struct args *a)
{
	blanks(a);
	return *a->rest ? a->rest : NULL;
}

bool args_end(struct args *a, struct err *e)
{
	blanks(a);
	if (!*a->rest)
		return true;
	return err_set(e, ERR_GENERAL, "'%.60s' was not expected here; see help", a->rest);
}

bool args_place(struct shell *sh, struct args *a, struct place *at, struct err *e)
{
	char w[64];
	blanks(a);
	const char *end = scan_word(a->rest, w, sizeof w);
	if ((w[0] | 32) != 'l' || (w[1] != '1' && w[1] != '2') || (w[2] && w[2] != ':' && w[2] != '.'))
		return true;
	/* "l2:0x1000" is an address */
	if (w[2] == ':' && (!isdigit((unsigned char)w[3]) || strlen(w) > 7 || w[4] == 'x'))
		return true;
	if (!intro_parse_place(sh->s, w, at, e))
		return false;
	a->rest = end;
	blanks(a);
	return true;
}

bool args_address(struct shell *sh, struct args *a, struct intro_address *at, struct err *e)
{
	if (!args_next(a))
		return err_set(e, ERR_GENERAL, "an address is missing, e.g. 0x1000, l2:rip, l1p:0xfee00000");
	return intro_parse_address(sh->s, sh->focus, a->word, at, e);
}

bool args_number(struct shell *sh, struct args *a, uint64_t *v, struct err *e)
{
	if (!args_next(a))
		return err_set(e, ERR_GENERAL, "a number is missing");
	return intro_eval(sh->s, sh->focus, a->word, v, e);
}
