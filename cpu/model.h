/* CPU models: what CPUID and the capability MSRs say.
 *
 * A model is a named base (cpu/models.def) plus features switched on or off
 * by `--cpu MODEL,+f,-f`. Feature names are the ones of Linux' /proc/cpuinfo.
 */
#ifndef CPU_MODEL_H
#define CPU_MODEL_H

#include "base/err.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* FEATURE(ENUM, "name", leaf, subleaf, register, bit) in cpu/features.def. */
enum cpu_feature {
	FEAT_BASE, /* always there */
#define FEATURE(e, n, leaf, sub, reg, bit) FEAT_##e,
#include "cpu/features.def"
#undef FEATURE
	FEAT_COUNT
};

struct cpu_model {
	char name[32];
	uint8_t family, model, stepping;
	uint32_t microcode;  /* revision, upper half of IA32_BIOS_SIGN_ID */
	char vendor[13];
	char brand[49];
	unsigned phys_bits;  /* MAXPHYADDR offered to the guest */
	unsigned cpus;       /* for topology leaves */
	bool feature[FEAT_COUNT];
};

/* Parses "MODEL,+f,-f,vendor=..."; NULL or "" is the default model. */
bool cpu_model_parse(struct cpu_model *m, const char *spec, struct err *e);

/* The value of a CPUID leaf before live bits (OSXSAVE, OSPKE, APIC ID, sizes
 * of the XSAVE area) are put in; `out` is EAX EBX ECX EDX. */
void cpu_model_cpuid(const struct cpu_model *m, uint32_t leaf, uint32_t sub, uint32_t out[4]);

/* IA32_ARCH_CAPABILITIES. */
uint64_t cpu_model_arch_capabilities(const struct cpu_model *m);

/* The XCR0 bits that the model supports. */
uint64_t cpu_model_xcr0(const struct cpu_model *m);

/* Names of models and features, one a line, for help and completion. */
void cpu_model_list(struct buf *out);

static inline bool cpu_has(const struct cpu_model *m, enum cpu_feature f)
{
	return m->feature[f];
}

#endif
