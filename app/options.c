#include "app/options.h"

#include "app/demo.h"
#include "base/hex.h"
#include "cpu/model.h"
#include "l0/options.h"
#include "machine/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum option {
#define OPTION(e, name, arg, help) OPT_##e,
#include "app/options.def"
#undef OPTION
	OPT_COUNT
};

static const struct row {
	const char *name, *arg, *help;
} rows[] = {
#define OPTION(e, name, arg, help) [OPT_##e] = {name, arg, help},
#include "app/options.def"
#undef OPTION
};

static const char *dashes(const struct row *r)
{
	return r->name[1] ? "--" : "-";
}

void options_help(struct buf *out)
{
	buf_str(out, "usage: nestscope run [OPTION]...\n\n");
	for (unsigned i = 0; i < OPT_COUNT; i++) {
		const struct row *r = &rows[i];
		struct buf head = {0};
		buf_fmt(&head, "  %s%s%s%s", dashes(r), r->name,
			*r->arg && *r->arg != '[' ? " " : "", r->arg);
		bool many = *r->help == '*';
		buf_fmt(out, head.len > 28 ? "%s\n%30s%s%s\n" : "%-29s%1.0s%s%s\n", head.data, "",
			r->help + many, many ? "; may be given again" : "");
		buf_done(&head);
	}
	buf_str(out, "\nExit status: 0 power-off, (V << 1) | 1 after a write of V to port f4h, 2 bad usage,\n"
		"3 triple fault, 4 a file that cannot be used, 5 --max-insns reached, 1 anything else.\n");
}

void options_list(struct buf *out)
{
	for (unsigned i = 0; i < OPT_COUNT; i++)
		buf_fmt(out, "%s%s %s\n", dashes(&rows[i]), rows[i].name, rows[i].arg);
}

static bool bad(struct err *e, const struct row *r, const char *value, const char *want)
{
	return err_set(e, ERR_USAGE, "%s%s: \"%s\" will not do; %s", dashes(r), r->name, value, want);
}

static bool parse_date(const char *s, int64_t *out)
{
	struct tm t = {0};
	int used = 0;
	if (sscanf(s, "%4d-%2d-%2d%n", &t.tm_year, &t.tm_mon, &t.tm_mday, &used) != 3)
		return false;
	int more = 0;
	if (s[used] == 'T' && sscanf(s + used, "T%2d:%2d:%2d%n", &t.tm_hour, &t.tm_min, &t.tm_sec,
				      &more) != 3)
		return false;
	if (s[used + more] || t.tm_year < 1970 || t.tm_year > 2199 || t.tm_mon < 1 ||
		t.tm_mon > 12 || t.tm_mday < 1 || t.tm_mday > 31 || t.tm_hour < 0 || t.tm_hour > 23 ||
		t.tm_min < 0 || t.tm_min > 59 || t.tm_sec < 0 || t.tm_sec > 59)
		return false;
	t.tm_year -= 1900;
	t.tm_mon--;
	*out = timegm(&t);
	return true;
}

static bool guest(struct options *o, enum load_kind kind, const char *file, struct err *e)
{
	struct load_config *l = &o->machine.load;
	if (l->kind != LOAD_NOTHING)
		return err_set(e, ERR_USAGE,
			"one guest at a time: --kernel, --multiboot, --flat or --demo");
	l->kind = kind;
	l->kernel = file;
	return true;
}

static bool flat(struct options *o, const struct row *r, const char *value, struct err *e)
{
	const char *at = strrchr(value, '@');
	if (!at || !parse_u64(at + 1, &o->machine.load.flat_base))
		return bad(e, r, value, "FILE@ADDRESS is wanted, e.g. boot.bin@0x7c00");
	free(o->flat_path);
	o->flat_path = xstrdup(value);
	o->flat_path[at - value] = 0;
	return guest(o, LOAD_FLAT, o->flat_path, e);
}

static bool demo(struct options *o, const char *value, struct err *e)
{
	const struct demo *d = demo_find(value);
	struct load_config *l = &o->machine.load;
	if (!d) {
		struct buf names = {0};
		for (unsigned i = 0; (d = demo_at(i)); i++)
			buf_fmt(&names, "%s%s", i ? ", " : "", d->name);
		err_set(e, ERR_USAGE, "--demo: there is no \"%s\" (%s)", value, names.data ? names.data : "");
		buf_done(&names);
		return false;
	}
	if (!guest(o, LOAD_MULTIBOOT, d->name, e))
		return false;
	l->image = d->image;
	l->image_size = (size_t)(d->end - d->image);
	l->append = d->cmdline;
	return true;
}

static bool add(struct option_list *l, const struct row *r, const char *value, struct err *e)
{
	if (l->count == OPTIONS_MANY)
		return err_set(e, ERR_USAGE, "%s%s is given more than %u times", dashes(r), r->name,
			OPTIONS_MANY);
	l->at[l->count++] = value;
	return true;
}

static bool add_script(struct options *o, const struct row *r, const char *value, bool is_file,
	struct err *e)
{
	if (o->scripts == OPTIONS_MANY)
		return err_set(e, ERR_USAGE, "%s%s is given more than %u times", dashes(r), r->name,
			OPTIONS_MANY);
	o->script[o->scripts].text = value;
	o->script[o->scripts++].is_file = is_file;
	return true;
}

static bool set_mem(struct options *o, const struct row *r, const char *value, struct err *e)
{
	uint64_t v;
	if (!parse_u64(value, &v) || v < MACHINE_MEM_MIN || v > MACHINE_MEM_MAX)
		return bad(e, r, value, "a size from 2M to 1024G is wanted, e.g. 512M");
	o->machine.mem = v;
	return true;
}

static bool set_count(const struct row *r, const char *value, uint64_t max, uint64_t *out,
	struct err *e)
{
	char want[64];
	snprintf(want, sizeof(want), "a number from 1 to %llu is wanted", (unsigned long long)max);
	return (parse_u64(value, out) && *out && *out <= max) || bad(e, r, value, want);
}

static bool set_cpus(struct options *o, const struct row *r, const char *value, struct err *e)
{
	uint64_t v;
	if (!set_count(r, value, L0_VCPUS, &v, e))
		return false;
	o->machine.vcpus = (unsigned)v;
	return true;
}

static bool set_cpu(struct options *o, const char *value)
{
	o->machine.cpu = value;
	if (!strcmp(value, "help"))
		o->help = cpu_model_list;
	return true;
}

static bool set_l0(struct options *o, const char *value)
{
	o->machine.l0 = value;
	if (!strcmp(value, "help"))
		o->help = l0_options_help;
	return true;
}

static bool set_pace(struct options *o, const struct row *r, const char *value, struct err *e)
{
	o->pace_given = true;
	if (!strcmp(value, "fast"))
		o->machine.pace = L0_PACE_FAST;
	else if (!strcmp(value, "real"))
		o->machine.pace = L0_PACE_REAL;
	else
		return bad(e, r, value, "fast or real is wanted");
	return true;
}

static bool set_serial(struct options *o, const char *value, unsigned *serials, struct err *e)
{
	if (*serials == L0_SERIALS)
		return err_set(e, ERR_USAGE, "--serial is given more than %u times", L0_SERIALS);
	o->machine.serial[(*serials)++] = value;
	return true;
}

static bool set_disk(struct options *o, const char *value, struct err *e)
{
	if (o->machine.disks == L0_DISKS)
		return err_set(e, ERR_USAGE, "--disk is given more than %u times", L0_DISKS);
	o->machine.disk[o->machine.disks++] = value;
	return true;
}

static bool set_module(struct options *o, const char *value, struct err *e)
{
	struct load_config *l = &o->machine.load;
	if (l->modules == LOAD_MODULES)
		return err_set(e, ERR_USAGE, "--module is given more than %u times", LOAD_MODULES);
	l->module[l->modules++] = value;
	return true;
}

static bool set_crash(struct options *o, const struct row *r, const char *value, struct err *e)
{
	if (strncmp(value, "save=", 5) || !value[5])
		return bad(e, r, value, "save=FILE is wanted");
	o->crash_file = value + 5;
	return true;
}

static bool apply(struct options *o, enum option id, const char *value, unsigned *serials,
	struct err *e)
{
	const struct row *r = &rows[id];
	struct l0_config *m = &o->machine;
	switch (id) {
	case OPT_KERNEL: return guest(o, LOAD_KERNEL, value, e);
	case OPT_MULTIBOOT: return guest(o, LOAD_MULTIBOOT, value, e);
	case OPT_FLAT: return flat(o, r, value, e);
	case OPT_DEMO: return demo(o, value, e);
	case OPT_INITRD: m->load.initrd = value; return true;
	case OPT_APPEND: m->load.append = value; return true;
	case OPT_MODULE: return set_module(o, value, e);
	case OPT_MEM: return set_mem(o, r, value, e);
	case OPT_CPUS: return set_cpus(o, r, value, e);
	case OPT_QUANTUM: return set_count(r, value, UINT64_C(1000000000), &m->quantum, e);
	case OPT_CPU: return set_cpu(o, value);
	case OPT_L0: return set_l0(o, value);
	case OPT_DISK: return set_disk(o, value, e);
	case OPT_NET: m->net = value; return true;
	case OPT_SERIAL: return set_serial(o, value, serials, e);
	case OPT_CONSOLE: m->console = value; return true;
	case OPT_TESTDEV: m->testdev = true; return true;
	case OPT_PACE: return set_pace(o, r, value, e);
	case OPT_RTC:
		return parse_date(value, &m->rtc) ||
		       bad(e, r, value, "YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS is wanted");
	case OPT_GDB: return add(&o->gdb, r, value, e);
	case OPT_GDB_OWNS: o->gdb_owns = true; return true;
	case OPT_PLUGIN: return add(&o->plugins, r, value, e);
	case OPT_PLUGIN_UNSAFE: o->plugin_unsafe = true; return true;
	case OPT_CONTROL: o->control = value; return true;
	case OPT_TUI: o->tui = true; return true;
	case OPT_BATCH: o->batch = true; return true;
	case OPT_SCRIPT: return add_script(o, r, value, true, e);
	case OPT_COMMAND: return add_script(o, r, value, false, e);
	case OPT_TRACE: o->trace = value; return true;
	case OPT_UNTIL: o->until = value; return true;
	case OPT_MAX_INSNS: return set_count(r, value, UINT64_MAX, &o->max_insns, e);
	case OPT_JSON: o->json = true; return true;
	case OPT_ON_CRASH: return set_crash(o, r, value, e);
	case OPT_HELP: o->help = options_help; return true;
	case OPT_COUNT: break;
	}
	return false;
}

/* The row of a word such as --mem=1G; *value is what follows "=", or NULL. */
static const struct row *find(const char *word, const char **value)
{
	const char *name = word + 1;
	if (word[0] != '-' || !*name)
		return NULL;
	if (*name == '-')
		name++;
	size_t len = strcspn(name, "=");
	for (unsigned i = 0; i < OPT_COUNT; i++)
		if (strlen(rows[i].name) == len && !strncmp(rows[i].name, name, len)) {
			*value = name[len] ? name + len + 1 : NULL;
			return &rows[i];
		}
	return NULL;
}

static bool check(struct options *o, struct err *e)
{
	struct load_config *l = &o->machine.load;
	if (o->help)
		return true;
	if (l->kind == LOAD_NOTHING)
		return err_set(e, ERR_USAGE,
			"what should run? --kernel FILE, --multiboot FILE, --flat FILE@ADDRESS or --demo");
	if (l->initrd && l->kind != LOAD_KERNEL)
		return err_set(e, ERR_USAGE, "--initrd goes with --kernel (use --module with --multiboot)");
	if (l->modules && l->kind != LOAD_MULTIBOOT)
		return err_set(e, ERR_USAGE, "--module goes with --multiboot (use --initrd with --kernel)");
	if (o->tui && o->batch)
		return err_set(e, ERR_USAGE, "--tui and --batch exclude each other");
	if (!o->pace_given)
		o->machine.pace = (!o->batch && isatty(STDIN_FILENO)) ||
				(o->machine.net && strcmp(o->machine.net, "none"))
			? L0_PACE_REAL
			: L0_PACE_FAST;
	return true;
}

bool options_parse(struct options *o, int argc, char **argv, struct err *e)
{
	memset(o, 0, sizeof(*o));
	o->machine.mem = UINT64_C(1) << 30;
	o->machine.vcpus = 1;
	o->machine.rtc = MACHINE_RTC;
	unsigned serials = 0;
	for (int i = 0; i < argc; i++) {
		const char *value = NULL;
		const struct row *r = find(argv[i], &value);
		if (!r)
			return err_set(e, ERR_USAGE, "there is no option \"%s\" (see nestscope run --help)",
				argv[i]);
		bool wants = *r->arg && *r->arg != '[';
		if (!*r->arg && value)
			return err_set(e, ERR_USAGE, "--%s takes no value", r->name);
		if (wants && !value) {
			if (i + 1 == argc)
				return err_set(e, ERR_USAGE, "%s%s wants %s", dashes(r), r->name, r->arg);
			value = argv[++i];
		}
		if (!apply(o, (enum option)(r - rows), value ? value : "", &serials, e))
			return false;
	}
	if (!serials)
		o->machine.serial[0] = "stdio";
	return check(o, e);
}

void options_done(struct options *o)
{
	free(o->flat_path);
	o->flat_path = NULL;
}
