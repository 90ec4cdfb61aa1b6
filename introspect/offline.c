#include "introspect/offline.h"

#include "introspect/live.h"
#include "introspect/live_machine.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC      "nestconf"
#define CONFIG_MAX 65536u

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *describe(const struct l0_config *c)
{
	json_t *j = json_pack("{s:I,s:I,s:I,s:I,s:b}", "mem", (json_int_t)c->mem, "vcpus",
		(json_int_t)c->vcpus, "quantum", (json_int_t)c->quantum, "rtc", (json_int_t)c->rtc,
		"testdev", c->testdev), *disks = json_array();
	json_object_set_new(j, "cpu", text_or_null(c->cpu));
	json_object_set_new(j, "l0", text_or_null(c->l0));
	json_object_set_new(j, "net", text_or_null(c->net));
	json_object_set_new(j, "console", text_or_null(c->console ? "none" : NULL));
	for (unsigned i = 0; i < c->disks; i++)
		json_array_append_new(disks, text_or_null(c->disk[i]));
	json_object_set_new(j, "disks", disks);
	return j;
}

bool offline_add_config(const struct l0 *l, const char *path, struct err *e)
{
	json_t *j = describe(&l->cfg);
	char *text = json_dumps(j, JSON_COMPACT);
	uint32_t n = text ? (uint32_t)strlen(text) : 0;
	FILE *f = fopen(path, "abe");
	bool ok = f && n && fwrite(text, 1, n, f) == n && fwrite(&n, 4, 1, f) == 1 &&
		fwrite(MAGIC, 8, 1, f) == 1;
	if (f && fclose(f))
		ok = false;
	free(text);
	json_decref(j);
	return ok || err_errno(e, "cannot complete the snapshot '%s'", path);
}

static json_t *read_config(const char *path, struct err *e)
{
	char tail[12], *text = NULL;
	uint32_t n = 0;
	json_t *j = NULL;
	FILE *f = fopen(path, "rbe");
	if (!f) {
		err_errno(e, "cannot read the snapshot '%s'", path);
		return NULL;
	}
	bool ok = !fseek(f, -12, SEEK_END) && fread(tail, 12, 1, f) == 1 && !memcmp(tail + 4, MAGIC, 8);
	if (ok) {
		memcpy(&n, tail, 4);
		ok = n && n <= CONFIG_MAX && !fseek(f, -12 - (long)n, SEEK_END);
	}
	if (ok) {
		text = xalloc(n + 1u);
		ok = fread(text, 1, n, f) == n;
	}
	fclose(f);
	if (ok)
		j = json_loadb(text, n, 0, NULL);
	if (!json_is_object(j)) {
		json_decref(j);
		j = NULL;
		err_set(e, ERR_FILE, "'%s' is no snapshot that says which machine it is of; give the "
			"machine's options and use load", path);
	}
	free(text);
	return j;
}

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key)); /* NULL for null */
}

static uint64_t number_of(const json_t *j, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(j, key));
}

/* "none" or "user": what kind of network. */
static const char *net_kind(const char *net)
{
	return !net || !strcmp(net, "none") ? "none" : "user";
}

/* A file's text, where it fits a line of ours. */
static const char *plain(const char *s)
{
	for (const char *c = s; *c; c++)
		if (*c < ' ' || *c > '~')
			return "?";
	return strlen(s) < 200 ? s : "?";
}

bool offline_check(const struct l0 *l, const char *path, struct err *e)
{
	json_t *j = read_config(path, NULL);
	const char *saved = j && text_of(j, "net") ? plain(text_of(j, "net")) : "none";
	const char *own = l->cfg.net ? l->cfg.net : "none";
	size_t disks = json_array_size(json_object_get(j, "disks"));
	bool ok = true;
	if (j && strcmp(net_kind(saved), net_kind(own)))
		ok = err_set(e, ERR_FILE, "the snapshot's machine had --net %s, this one --net %s", saved, own);
	else if (j && disks != l->cfg.disks)
		ok = err_set(e, ERR_FILE, "the snapshot's machine had %zu disks, this one %u", disks,
			l->cfg.disks);
	else if (j && strcmp(saved, own))
		log_say(l->log, LOG_WARN, "load", "the snapshot's machine had --net %s; here --net %s stays",
			saved, own);
	json_decref(j);
	return ok;
}

/* The strings stay the JSON's. Nothing of it is trusted: l0_new checks all. */
static struct l0_config config_of(const json_t *j)
{
	struct l0_config c = {.mem = number_of(j, "mem"), .vcpus = (unsigned)number_of(j, "vcpus"),
		.quantum = number_of(j, "quantum"), .rtc = (int64_t)number_of(j, "rtc"),
		.testdev = json_is_true(json_object_get(j, "testdev")), .cpu = text_of(j, "cpu"),
		.l0 = text_of(j, "l0"),
		.net = strcmp(net_kind(text_of(j, "net")), "none") ? "user,restrict" : NULL, .console = text_of(j, "console"),
		.load = {.kind = LOAD_NOTHING}};
	const json_t *disks = json_object_get(j, "disks");
	for (size_t i = 0; i < json_array_size(disks) && c.disks < L0_DISKS; i++) {
		const char *d = json_string_value(json_array_get(disks, i));
		if (d)
			c.disk[c.disks++] = d;
	}
	return c;
}

/* A file decides nothing about writing to others. */
static bool writes_disks(const struct l0_config *c, const char *path, struct err *e)
{
	for (unsigned i = 0; i < c->disks; i++) {
		size_t n = strlen(c->disk[i]);
		if (n < 6 || strcmp(c->disk[i] + n - 6, ",write"))
			continue;
		err_set(e, ERR_FILE, "the machine of '%s' writes to the disk %.*s; give the machine's "
			"options and use load", path, (int)(n - 6), c->disk[i]);
		return true;
	}
	return false;
}

struct intro *intro_open_snapshot(const char *path, struct err *e)
{
	json_t *j = read_config(path, e);
	if (!j)
		return NULL;
	struct l0_config c = config_of(j);
	struct l0 *l = writes_disks(&c, path, e) ? NULL : l0_new(&c, e);
	if (l && !l0_load(l, path, e)) {
		l0_free(l);
		l = NULL;
	}
	if (!l) {
		json_decref(j);
		return NULL;
	}
	return intro_new(live_backend_owning(l, j));
}
