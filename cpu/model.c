#include "cpu/model.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_MODEL "icelake-server"

struct model_row {
	const char *name, *brand;
	uint8_t family, model, stepping;
	uint32_t microcode;
	uint8_t own[64]; /* features beyond those of the row above; 0 ends */
};

static const struct model_row models[] = {
#define F(e) FEAT_##e,
#define CPU_MODEL(n, f, m, s, ucode, b, ...) {n, b, f, m, s, ucode, {__VA_ARGS__}},
#include "cpu/models.def"
#undef CPU_MODEL
#undef F
};

/* Not offered by this processor whatever the command line says. */
static const uint8_t not_built[] = {
	FEAT_AVX512F, FEAT_MPX, FEAT_CET_SS, FEAT_CET_IBT, FEAT_LA57, FEAT_GFNI, FEAT_VAES,
	FEAT_VPCLMUL, FEAT_SMX, FEAT_PDCM,
};

/* A feature that falls takes those that need it along. */
static const uint8_t needs[][2] = {
	{FEAT_SSE2, FEAT_SSE}, {FEAT_SSE3, FEAT_SSE2}, {FEAT_SSSE3, FEAT_SSE3},
	{FEAT_SSE4_1, FEAT_SSSE3}, {FEAT_SSE4_2, FEAT_SSE4_1}, {FEAT_AES, FEAT_SSE2},
	{FEAT_PCLMUL, FEAT_SSE2}, {FEAT_SHA, FEAT_SSE2}, {FEAT_AVX, FEAT_XSAVE},
	{FEAT_XSAVEOPT, FEAT_XSAVE}, {FEAT_XSAVEC, FEAT_XSAVE}, {FEAT_XGETBV1, FEAT_XSAVE},
	{FEAT_XSAVES, FEAT_XSAVEC}, {FEAT_AVX, FEAT_SSE4_2}, {FEAT_AVX2, FEAT_AVX},
	{FEAT_FMA, FEAT_AVX}, {FEAT_F16C, FEAT_AVX}, {FEAT_PKU, FEAT_XSAVE},
	{FEAT_X2APIC, FEAT_APIC}, {FEAT_TSC_DEADLINE, FEAT_APIC}, {FEAT_PCID, FEAT_LM},
	{FEAT_PAGE1G, FEAT_LM}, {FEAT_KVM_SIGNATURE, FEAT_HYPERVISOR},
};

static const struct {
	const char *name;
	uint8_t feature;
} feature_names[] = {
#define FEATURE(e, n, leaf, sub, reg, bit) {n, FEAT_##e},
#include "cpu/features.def"
#undef FEATURE
};

static bool pick_model(struct cpu_model *m, const char *name)
{
	size_t n;

	memset(m, 0, sizeof(*m));
	m->feature[FEAT_BASE] = true;
	for (n = 0; n < sizeof(models) / sizeof(models[0]); n++) {
		const struct model_row *r = &models[n];

		for (unsigned i = 0; r->own[i]; i++)
			m->feature[r->own[i]] = true;
		if (strcmp(r->name, name) != 0)
			continue;
		snprintf(m->name, sizeof(m->name), "%s", r->name);
		snprintf(m->brand, sizeof(m->brand), "%s", r->brand);
		snprintf(m->vendor, sizeof(m->vendor), "GenuineIntel");
		m->family = r->family;
		m->model = r->model;
		m->stepping = r->stepping;
		m->microcode = r->microcode;
		m->phys_bits = 40;
		m->cpus = 1;
		return true;
	}
	return false;
}

static int feature_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(feature_names) / sizeof(feature_names[0]); i++)
		if (!strcmp(feature_names[i].name, name))
			return feature_names[i].feature;
	return -1;
}

static bool set_feature(struct cpu_model *m, const char *name, bool on, struct err *e)
{
	int f = feature_by_name(name);

	if (f < 0)
		return err_set(e, ERR_USAGE, "--cpu: unknown feature '%s'; 'help cpu' lists them", name);
	for (size_t i = 0; on && i < sizeof(not_built); i++)
		if (not_built[i] == f)
			return err_set(e, ERR_USAGE, "--cpu: feature '%s' is not built", name);
	m->feature[f] = on;
	return true;
}

static bool apply_option(struct cpu_model *m, const char *word, struct err *e)
{
	if (word[0] == '+' || word[0] == '-')
		return set_feature(m, word + 1, word[0] == '+', e);
	if (!strncmp(word, "vendor=", 7)) {
		if (strlen(word + 7) != 12)
			return err_set(e, ERR_USAGE, "--cpu: a vendor has 12 characters, not '%s'",
				word + 7);
		memcpy(m->vendor, word + 7, 13);
		return true;
	}
	return err_set(e, ERR_USAGE, "--cpu: '%s' is none of +feature, -feature, vendor=NAME", word);
}

static void drop_dependents(struct cpu_model *m)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
			if (m->feature[needs[i][0]] && !m->feature[needs[i][1]]) {
				m->feature[needs[i][0]] = false;
				moved = true;
			}
		}
	}
}

bool cpu_model_parse(struct cpu_model *m, const char *spec, struct err *e)
{
	char word[64];
	bool first = true;

	if (!spec)
		spec = "";
	if (!*spec || *spec == '+' || *spec == '-' || strstr(spec, "vendor=") == spec) {
		pick_model(m, DEFAULT_MODEL);
		first = false;
	}
	while (*spec || first) {
		size_t len = strcspn(spec, ",");

		if (len >= sizeof(word))
			return err_set(e, ERR_USAGE, "--cpu: word too long in '%s'", spec);
		memcpy(word, spec, len);
		word[len] = 0;
		spec += len + (spec[len] == ',');
		if (first) {
			if (!pick_model(m, strcmp(word, "default") ? word : DEFAULT_MODEL))
				return err_set(e, ERR_USAGE,
					"--cpu: unknown model '%s'; 'help cpu' lists them", word);
			first = false;
		} else if (!apply_option(m, word, e)) {
			return false;
		}
	}
	if (!m->feature[FEAT_LM])
		return err_set(e, ERR_USAGE, "--cpu: the processor is never without lm");
	drop_dependents(m);
	return true;
}

void cpu_model_list(struct buf *out)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		buf_fmt(out, "%s\n", models[i].name);
	for (size_t i = 0; i < sizeof(feature_names) / sizeof(feature_names[0]); i++)
		buf_fmt(out, "+%s\n", feature_names[i].name);
}
