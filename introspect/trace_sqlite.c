/* Traces as an SQLite database: one row per transition, names beside. */
#include "introspect/trace_writer.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* exits: one row per transition, addresses as signed 64-bit integers; reasons
 * names the numbers; symbols names the addresses; exits_named joins them. */
static const char schema[] =
	"CREATE TABLE exits(seq INTEGER PRIMARY KEY, clock INTEGER, vcpu INTEGER, kind TEXT,"
	" from_level INTEGER, to_level INTEGER, handler INTEGER, reason INTEGER,"
	" qualification INTEGER, detail INTEGER, rip INTEGER, cost INTEGER, cause INTEGER);"
	"CREATE TABLE reasons(reason INTEGER PRIMARY KEY, name TEXT, detail_is TEXT);"
	"CREATE TABLE symbols(level INTEGER, rip INTEGER, symbol TEXT, offset INTEGER,"
	" PRIMARY KEY(level, rip));"
	"CREATE VIEW exits_named AS SELECT e.*, r.name AS reason_name, s.symbol FROM exits e"
	" LEFT JOIN reasons r USING(reason)"
	" LEFT JOIN symbols s ON s.level = e.from_level AND s.rip = e.rip;";

struct db_writer {
	struct intro *s;
	sqlite3 *db;
	sqlite3_stmt *insert;
	uint64_t pending;
};

static bool db_fail(struct db_writer *w, struct err *e)
{
	return err_set(e, ERR_FILE, "the trace database: %s", sqlite3_errmsg(w->db));
}

static void free_writer(struct db_writer *w)
{
	sqlite3_finalize(w->insert);
	sqlite3_close(w->db);
	free(w);
}

static void add_reasons(struct db_writer *w)
{
	sqlite3_stmt *st;
	uint32_t reason;
	const char *name;
	if (sqlite3_prepare_v2(w->db, "INSERT INTO reasons VALUES(?,?,?)", -1, &st, NULL))
		return;
	for (unsigned i = 0; exit_reason_at(i, &reason, &name); i++) {
		sqlite3_bind_int64(st, 1, reason);
		sqlite3_bind_text(st, 2, name, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 3, exit_detail_kind(reason), -1, SQLITE_STATIC);
		sqlite3_step(st);
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
}

static void *db_open(struct intro *s, const char *path, struct err *e)
{
	struct db_writer *w = xalloc(sizeof *w);
	w->s = s;
	unlink(path);
	if (sqlite3_open(path, &w->db) ||
		sqlite3_exec(w->db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN", NULL, NULL,
			NULL) ||
		sqlite3_exec(w->db, schema, NULL, NULL, NULL) ||
		sqlite3_prepare_v2(w->db, "INSERT OR REPLACE INTO exits VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
			-1, &w->insert, NULL)) {
		err_set(e, ERR_FILE, "cannot write a trace to '%s': %s", path,
			w->db ? sqlite3_errmsg(w->db) : "no memory");
		free_writer(w);
		return NULL;
	}
	add_reasons(w);
	return w;
}

static void bind_or_null(sqlite3_stmt *st, int i, uint64_t v)
{
	if (v == UINT64_MAX)
		sqlite3_bind_null(st, i);
	else
		sqlite3_bind_int64(st, i, (sqlite3_int64)v);
}

static bool db_record(void *writer, const struct exit_record *r, uint64_t *bytes, struct err *e)
{
	struct db_writer *w = writer;
	sqlite3_stmt *st = w->insert;
	bool entry = r->kind == EXIT_ENTRY;
	bind_or_null(st, 1, r->seq);
	bind_or_null(st, 2, r->at.clock);
	sqlite3_bind_int(st, 3, r->vcpu);
	sqlite3_bind_text(st, 4, exit_kind_name(r->kind), -1, SQLITE_STATIC);
	sqlite3_bind_int(st, 5, r->from);
	sqlite3_bind_int(st, 6, r->to);
	bind_or_null(st, 7, entry ? UINT64_MAX : r->handler);
	bind_or_null(st, 8, entry ? UINT64_MAX : r->reason & 0xffff);
	sqlite3_bind_int64(st, 9, (sqlite3_int64)r->qualification);
	bind_or_null(st, 10, r->detail);
	sqlite3_bind_int64(st, 11, (sqlite3_int64)r->rip);
	sqlite3_bind_int64(st, 12, (sqlite3_int64)r->cost);
	bind_or_null(st, 13, r->cause);
	int rc = sqlite3_step(st);
	sqlite3_reset(st);
	*bytes += 80;
	return rc == SQLITE_DONE || db_fail(w, e);
}

/* Names for every address that occurs. */
static bool add_symbols(struct db_writer *w)
{
	sqlite3_stmt *get = NULL, *put = NULL;
	if (sqlite3_prepare_v2(w->db, "SELECT DISTINCT from_level, rip FROM exits", -1, &get, NULL) ||
		sqlite3_prepare_v2(w->db, "INSERT OR REPLACE INTO symbols VALUES(?,?,?,?)", -1, &put, NULL))
		goto out;
	while (sqlite3_step(get) == SQLITE_ROW) {
		struct symbol y;
		unsigned level = (unsigned)sqlite3_column_int(get, 0);
		uint64_t rip = (uint64_t)sqlite3_column_int64(get, 1);
		if (!intro_symbol_at_cr3(w->s, level ? level : 1, 0, rip, &y))
			continue;
		sqlite3_bind_int(put, 1, (int)level);
		sqlite3_bind_int64(put, 2, (sqlite3_int64)rip);
		sqlite3_bind_text(put, 3, y.name, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(put, 4, (sqlite3_int64)(rip - y.address));
		sqlite3_step(put);
		sqlite3_reset(put);
	}
out:
	sqlite3_finalize(get);
	sqlite3_finalize(put);
	return true;
}

static bool db_close(void *writer, struct err *e)
{
	struct db_writer *w = writer;
	bool ok = add_symbols(w) && !sqlite3_exec(w->db, "COMMIT", NULL, NULL, NULL);
	if (!ok)
		db_fail(w, e);
	free_writer(w);
	return ok;
}

const struct trace_writer_ops trace_sqlite_ops = {db_open, db_record, db_close};
