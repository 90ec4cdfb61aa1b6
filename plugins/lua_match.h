/* Lua's patterns, with a count of steps: what string.find, match, gmatch and
 * gsub stand on here. The library's own matcher can take longer than anybody
 * waits for a pattern of twenty characters, and no hook runs meanwhile.
 *
 * Pure: bytes in, bytes out. The syntax and the results are those of Lua 5.4.
 */
#ifndef PLUGINS_LUA_MATCH_H
#define PLUGINS_LUA_MATCH_H

#include <stddef.h>
#include <stdint.h>

#define LUA_MATCH_CAPTURES 32
#define LUA_MATCH_DEPTH    200 /* choices within choices */

#define CAPTURE_OPEN     (-1) /* lengths that are none: its ')' is to come */
#define CAPTURE_POSITION (-2) /* "()" */

struct lua_match {
	const char *src, *src_end, *pat_end; /* the caller's */
	uint64_t left;       /* steps; a match that needs more ends with LUA_MATCH_STEPS */
	const char *error;   /* why it ended, for printf; NULL: it matches or does not */
	int error_number;    /* for the text's %d */
	unsigned depth, captures;
	struct {
		const char *at;
		ptrdiff_t len;
	} capture[LUA_MATCH_CAPTURES];
};

extern const char lua_match_steps[]; /* the error of a match without steps left */

/* Matches at `at`: the end of the match, or NULL. */
const char *lua_match(struct lua_match *m, const char *at, const char *pattern);

#endif
