#include "l0/options.h"

#include "base/hex.h"
#include "l0/ring.h"

#include <string.h>

static const struct {
	const char *key, *help;
	bool value;
	const char *why; /* no other value; NULL: free */
} uses[] = {
#define USE(e, key, value, help) {key, help, value, NULL},
#define FIXED(e, key, value, help, why) {key, help, value, why},
#include "l0/options.def"
#undef USE
#undef FIXED
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

enum cost_model {
#define COST_MODEL(e, name, help) MODEL_##e,
#include "l0/cost.def"
	MODELS
};

uint64_t l0_options_cost(const struct l0_options *o)
{
	static const struct {
		uint64_t EXIT, ENTRY;
	} cycles[MODELS] = {
#define COST(model, event, n) [MODEL_##model].event = n,
#include "l0/cost.def"
	};

	return o->cost < MODELS ? cycles[o->cost].EXIT + cycles[o->cost].ENTRY : 0;
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
	bool on;

	if (!parse_bool(v, &on))
		return err_set(e, ERR_USAGE, "--l0 %s=%s: the value is on or off", key, v);
	if (!strncmp(key, "cap.", 4))
		return vmx_caps_switch(o->cap, key + 4, on, e);
	for (unsigned i = 0; i < COUNT(uses); i++)
		if (!strcmp(uses[i].key, key)) {
			if (uses[i].why && on != uses[i].value)
				return err_set(e, ERR_USAGE, "--l0 %s is %s: %s", key,
					uses[i].value ? "on" : "off", uses[i].why);
			o->use[i] = on;
			return true;
		}
	return err_set(e, ERR_USAGE, "--l0: there is no key '%s'; --l0 help lists them", key);
}

static bool parse_ring(struct l0_options *o, const char *v, struct err *e)
{
	bool on;
	if (strcmp(v, "1") && parse_bool(v, &on)) {
		o->ring = on ? RING_DEFAULT : 0;
		return true;
	}
	if (parse_u64(v, &o->ring) && o->ring >= RING_MIN && o->ring <= RING_MAX)
		return true;
	return err_set(e, ERR_USAGE, "--l0 ring=%s: the value is on, off or a number of records from %uK "
		"to %uM", v, RING_MIN >> 10, RING_MAX >> 20);
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
	if (!strcmp(key, "ring"))
		return parse_ring(o, v, e);
	return parse_switch(o, key, v, e);
}

/* What follows from other keys. */
static void settle(struct l0_options *o)
{
	if (!o->use[L0_USE_EPT])
		o->mmu = L0_MMU_SHADOW_ON_SHADOW;
	if (o->mmu != L0_MMU_NEPT)
		o->cap[CAP_EPT] = false;
	if (o->mmu == L0_MMU_SHADOW_ON_SHADOW)
		o->use[L0_USE_EPT] = o->use[L0_USE_PML] = false;
}

bool l0_options_parse(struct l0_options *o, const char *spec, struct err *e)
{
	memset(o, 0, sizeof(*o));
	o->cost = 1;
	o->ring = RING_DEFAULT;
	vmx_caps_full(o->cap);
	for (unsigned i = 0; i < L0_USE_COUNT; i++)
		o->use[i] = uses[i].value;
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
	for (unsigned i = 0; i < COUNT(uses); i++)
		buf_fmt(out, "%-26s %-4s %s\n", uses[i].key, uses[i].value ? "on" : "off",
			uses[i].help);
	for (unsigned i = 0; i < CAP_COUNT; i++)
		if (*vmx_cap_key(i))
			buf_fmt(out, "cap.%-22s on   %s\n", vmx_cap_key(i), vmx_cap_text(i));
	buf_str(out, "mmu                        nept nept, shadow-on-ept or shadow-on-shadow\n");
	buf_fmt(out, "ring                       %uK the exit ring: records that it keeps, %uK to %uM (%zu bytes "
		"each), or off\n", RING_DEFAULT >> 10, RING_MIN >> 10, RING_MAX >> 20,
		sizeof(struct ring_record));
	buf_fmt(out, "cost                       %s", cost_names[1]);
	buf_str(out, " cycles that a real processor would need per transition:");
	for (unsigned i = 0; i < COUNT(cost_names); i++)
		buf_fmt(out, " %s", cost_names[i]);
	buf_str(out, "\nnone                            a bare processor, without L0\n");
}
