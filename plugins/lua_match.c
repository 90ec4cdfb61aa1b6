/* Reading order: one character against one item of a pattern, items with a
 * repetition, the items that are more than a character, the walk over all. */
#include "plugins/lua_match.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

const char lua_match_steps[] = "steps";

static const char *fail(struct lua_match *m, const char *why)
{
	if (!m->error)
		m->error = why;
	return NULL;
}

static bool step(struct lua_match *m, uint64_t n)
{
	if (m->error)
		return false;
	if (m->left >= n) {
		m->left -= n;
		return true;
	}
	m->left = 0;
	fail(m, lua_match_steps);
	return false;
}

/* --- one character ---------------------------------------------------------------- */

static bool in_class(int c, int class)
{
	bool in;
	switch (tolower(class)) {
	case 'a': in = isalpha(c); break;
	case 'c': in = iscntrl(c); break;
	case 'd': in = isdigit(c); break;
	case 'g': in = isgraph(c); break;
	case 'l': in = islower(c); break;
	case 'p': in = ispunct(c); break;
	case 's': in = isspace(c); break;
	case 'u': in = isupper(c); break;
	case 'w': in = isalnum(c); break;
	case 'x': in = isxdigit(c); break;
	default: return class == c; /* %. and its like */
	}
	return isupper(class) ? !in : in;
}

/* The end of the item that begins at p: behind "a", "%a" or "[...]". */
static const char *item_end(struct lua_match *m, const char *p)
{
	if (*p == '%')
		return p + 1 < m->pat_end ? p + 2 : fail(m, "malformed pattern (ends with '%%')");
	if (*p++ != '[')
		return p;
	if (p < m->pat_end && *p == '^')
		p++;
	for (const char *first = p; p == first || p == m->pat_end || *p != ']'; p++) {
		if (p == m->pat_end)
			return fail(m, "malformed pattern (missing ']')");
		if (*p == '%' && ++p == m->pat_end)
			return fail(m, "malformed pattern (missing ']')");
	}
	return p + 1;
}

/* [set]; end is its ']'. */
static bool in_set(int c, const char *p, const char *end)
{
	bool in = true;
	if (*++p == '^') {
		in = false;
		p++;
	}
	while (p < end) {
		int low = (unsigned char)*p;
		if (low == '%') {
			if (in_class(c, (unsigned char)p[1]))
				return in;
			p += 2;
		} else if (p[1] == '-' && p + 2 < end) {
			if (low <= c && c <= (unsigned char)p[2])
				return in;
			p += 3;
		} else {
			if (low == c)
				return in;
			p++;
		}
	}
	return !in;
}

static bool fits(struct lua_match *m, const char *s, const char *p, const char *end)
{
	if (s >= m->src_end || !step(m, 1 + (uint64_t)(end - p) / 8))
		return false;
	int c = (unsigned char)*s;
	switch (*p) {
	case '.':
		return true;
	case '%':
		return in_class(c, (unsigned char)p[1]);
	case '[':
		return in_set(c, p, end - 1);
	default:
		return (unsigned char)*p == c;
	}
}

/* --- repetitions -------------------------------------------------------------------- */

/* As many as there are and, as long as the rest does not match, fewer. */
static const char *most(struct lua_match *m, const char *s, const char *p, const char *end)
{
	const char *to = s, *found;
	while (fits(m, to, p, end))
		to++;
	for (; !m->error; to--) {
		if ((found = lua_match(m, to, end + 1)) || to == s)
			return found;
	}
	return NULL;
}

static const char *fewest(struct lua_match *m, const char *s, const char *p, const char *end)
{
	const char *found;
	do {
		if ((found = lua_match(m, s, end + 1)))
			return found;
	} while (fits(m, s++, p, end));
	return NULL;
}

/* --- captures, balances, frontiers ----------------------------------------------------- */

static const char *open_capture(struct lua_match *m, const char *s, const char *p, ptrdiff_t len)
{
	if (m->captures >= LUA_MATCH_CAPTURES)
		return fail(m, "too many captures");
	m->capture[m->captures].at = s;
	m->capture[m->captures++].len = len;
	const char *found = lua_match(m, s, p);
	if (!found)
		m->captures--;
	return found;
}

static const char *close_capture(struct lua_match *m, const char *s, const char *p)
{
	unsigned i = m->captures;
	while (i && m->capture[i - 1].len != CAPTURE_OPEN)
		i--;
	if (!i--)
		return fail(m, "invalid pattern capture");
	m->capture[i].len = s - m->capture[i].at;
	const char *found = lua_match(m, s, p);
	if (!found)
		m->capture[i].len = CAPTURE_OPEN;
	return found;
}

/* %1: what the capture matched, again. */
static const char *same_again(struct lua_match *m, const char *s, char digit)
{
	unsigned i = (unsigned)(digit - '1');
	if (digit == '0' || i >= m->captures || m->capture[i].len == CAPTURE_OPEN) {
		m->error_number = digit - '0';
		return fail(m, "invalid capture index %%%d");
	}
	/* a position has no length, and compares as the longest */
	size_t len = (size_t)m->capture[i].len;
	if (len > (size_t)(m->src_end - s) || !step(m, len / 16) || memcmp(m->capture[i].at, s, len))
		return NULL;
	return s + len;
}

/* %bxy: from an x to the y that balances it. */
static const char *balance(struct lua_match *m, const char *s, const char *p)
{
	unsigned depth = 1;
	if (m->pat_end - p < 2)
		return fail(m, "malformed pattern (missing arguments to '%%b')");
	if (s >= m->src_end || *s != p[0])
		return NULL;
	while (++s < m->src_end && step(m, 1)) {
		if (*s == p[1] && !--depth)
			return s + 1;
		if (*s == p[0] && *s != p[1])
			depth++;
	}
	return NULL;
}

/* %f[set]: between a character outside the set and one inside; *p moves on. */
static bool frontier(struct lua_match *m, const char *s, const char **p)
{
	const char *set = *p;
	if (set >= m->pat_end || *set != '[')
		return fail(m, "missing '[' after '%%f' in pattern");
	if (!(*p = item_end(m, set)))
		return false;
	int before = s == m->src ? 0 : (unsigned char)s[-1], at = s < m->src_end ? (unsigned char)*s : 0;
	return !in_set(before, set, *p - 1) && in_set(at, set, *p - 1);
}

/* --- the walk --------------------------------------------------------------------------- */

/* An item that is a character, with what follows it. True: go on at *s, *p;
 * else *found is the answer. */
static bool item(struct lua_match *m, const char **s, const char **p, const char **found)
{
	const char *end = item_end(m, *p);
	char suffix = end && end < m->pat_end ? *end : 0;
	*found = NULL;
	if (!end)
		return false;
	if (suffix == '*' || suffix == '-') {
		*found = suffix == '*' ? most(m, *s, *p, end) : fewest(m, *s, *p, end);
		return false;
	}
	bool fit = fits(m, *s, *p, end);
	if (suffix == '+') {
		*found = fit ? most(m, *s + 1, *p, end) : NULL;
		return false;
	}
	if (suffix == '?') {
		if (fit && (*found = lua_match(m, *s + 1, end + 1)))
			return false;
		*p = end + 1;
		return !m->error;
	}
	*s += fit;
	*p = end;
	return fit;
}

/* What begins with '%' and is no class. False: it is one. */
static bool special(struct lua_match *m, const char **s, const char **p)
{
	char c = *p + 1 < m->pat_end ? (*p)[1] : 0;
	if (c == 'b') {
		*s = balance(m, *s, *p + 2);
		*p += 4;
	} else if (c == 'f') {
		*p += 2;
		if (!frontier(m, *s, p))
			*s = NULL;
	} else if (isdigit((unsigned char)c)) {
		*s = same_again(m, *s, c);
		*p += 2;
	} else {
		return false;
	}
	return true;
}

static const char *walk(struct lua_match *m, const char *s, const char *p)
{
	const char *found;
	while (s && p < m->pat_end && step(m, 1)) {
		if (*p == '(' && p + 1 < m->pat_end && p[1] == ')')
			return open_capture(m, s, p + 2, CAPTURE_POSITION);
		if (*p == '(')
			return open_capture(m, s, p + 1, CAPTURE_OPEN);
		if (*p == ')')
			return close_capture(m, s, p + 1);
		if (*p == '$' && p + 1 == m->pat_end)
			return s == m->src_end ? s : NULL;
		if (*p == '%' && special(m, &s, &p))
			continue;
		if (!item(m, &s, &p, &found))
			return found;
	}
	return m->error ? NULL : s;
}

const char *lua_match(struct lua_match *m, const char *at, const char *pattern)
{
	if (m->depth == LUA_MATCH_DEPTH)
		return fail(m, "pattern too complex");
	m->depth++;
	const char *found = walk(m, at, pattern);
	m->depth--;
	return found;
}
