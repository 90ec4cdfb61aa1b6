#include "l0/options.h"

#include <string.h>

static const struct {
	const char *key, *help;
	bool is_cap, def;
	unsigned index, requires;
} switches[] = {
#define use_ROW(e, key, def, req, help) {key, help, false, def, L0_USE_##e, L0_CAP_NONE},
#define cap_ROW(e, key, def, req, help) {key, help, true, def, L0_CAP_##e, L0_CAP_##req},
#define SWITCH(g, e, key, def, req, help) g##_ROW(e, key, def, req, help)
#include "l0/options.def"
#undef SWITCH
};

static const char *const mmu_names[] = {
	[L0_MMU_NEPT] = "nept",
	[L0_MMU_SHADOW_ON_EPT] = "shadow-on-ept",
	[L0_MMU_SHADOW_ON_SHADOW] = "shadow-on-shadow",
};

static const char *const cost_names[] = {
#define COST_MODEL(e, name, help) name,
#include "l0/cost.def"
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *l0_mmu_name(enum l0_mmu m)
{
	return mmu_names[m];
}

static bool parse_bool(const char *v, bool *out)
{
	*out = !strcmp(v, "on") || !strcmp(v, "yes") || !strcmp(v, "1");
	return *out || !strcmp(v, "off") || !strcmp(v, "no") || !strcmp(v, "0");
}

static bool parse_name(const char *v, const char *const *names, unsigned n, unsigned *out)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(names[i], v)) {
			*out = i;
			return true;
		}
	return false;
}

static bool parse_switch(struct l0_options *o, const char *key, const char *v, struct err *e)
{
	for (unsigned i = 0; i < COUNT(switches); i++) {
		bool *at;
		if (strcmp(switches[i].key, key))
			continue;
		at = switches[i].is_cap ? &o->cap[switches[i].index] : &o->use[switches[i].index];
		return parse_bool(v, at) ||
			err_set(e, ERR_USAGE, "--l0 %s=%s: the value is on or off", key, v);
	}
	return err_set(e, ERR_USAGE, "--l0: there is no key '%s'; --l0 help lists them", key);
}

static bool parse_key(struct l0_options *o, const char *key, const char *v, struct err *e)
{
	unsigned n;

	if (!strcmp(key, "none") && !*v) {
		o->none = true;
		return true;
	}
	if (!strcmp(key, "mmu")) {
		if (!parse_name(v, mmu_names, COUNT(mmu_names), &n))
			return err_set(e, ERR_USAGE,
				"--l0 mmu=%s: nept, shadow-on-ept or shadow-on-shadow", v);
		o->mmu = (enum l0_mmu)n;
		return true;
	}
	if (!strcmp(key, "cost")) {
		if (!parse_name(v, cost_names, COUNT(cost_names), &o->cost))
			return err_set(e, ERR_USAGE, "--l0 cost=%s: no such model", v);
		return true;
	}
	if (!strcmp(key, "ring")) {
		bool on;
		if (!parse_bool(v, &on))
			return err_set(e, ERR_USAGE, "--l0 ring=%s: the value is on or off", v);
		o->ring_off = !on;
		return true;
	}
	return parse_switch(o, key, v, e);
}

/* What follows from other keys; rows stand after the ones they require. */
static void settle(struct l0_options *o)
{
	if (!o->use[L0_USE_EPT])
		o->mmu = L0_MMU_SHADOW_ON_SHADOW;
	if (o->mmu != L0_MMU_NEPT)
		o->cap[L0_CAP_EPT] = false;
	if (o->mmu == L0_MMU_SHADOW_ON_SHADOW)
		o->use[L0_USE_EPT] = o->use[L0_USE_PML] = false;
	for (unsigned i = 0; i < COUNT(switches); i++)
		if (switches[i].is_cap && switches[i].requires != L0_CAP_NONE &&
			!o->cap[switches[i].requires])
			o->cap[switches[i].index] = false;
}

bool l0_options_parse(struct l0_options *o, const char *spec, struct err *e)
{
	memset(o, 0, sizeof(*o));
	o->cost = 1;
	for (unsigned i = 0; i < COUNT(switches); i++)
		*(switches[i].is_cap ? &o->cap[switches[i].index] : &o->use[switches[i].index]) =
			switches[i].def;
	while (spec && *spec) {
		char item[96], *v;
		size_t n = strcspn(spec, ",");

		if (n >= sizeof(item))
			return err_set(e, ERR_USAGE, "--l0: '%.32s...' is too long", spec);
		memcpy(item, spec, n);
		item[n] = 0;
		v = strchr(item, '=');
		if (v)
			*v++ = 0;
		if (n && !parse_key(o, item, v ? v : "", e))
			return false;
		spec += n;
		spec += *spec == ',';
	}
	settle(o);
	return true;
}

void l0_options_help(struct buf *out)
{
	for (unsigned i = 0; i < COUNT(switches); i++)
		buf_fmt(out, "%-22s %-4s %s\n", switches[i].key, switches[i].def ? "on" : "off",
			switches[i].help);
	buf_str(out, "mmu                    nept nept, shadow-on-ept or shadow-on-shadow\n");
	buf_str(out, "ring                   on   the exit ring\n");
	buf_fmt(out, "cost                   %s", cost_names[1]);
	buf_str(out, " cycles that a real processor would need per transition:");
	for (unsigned i = 0; i < COUNT(cost_names); i++)
		buf_fmt(out, " %s", cost_names[i]);
	buf_str(out, "\nnone                        a bare processor, without L0\n");
}
