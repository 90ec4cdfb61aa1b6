/* The CPUID leaves of a model. SDM Vol. 2A "CPUID-CPU Identification". */
#include "cpu/model.h"

#include "base/addr.h"
#include "base/clock.h"

#include <string.h>

#define MAX_BASIC    0x16
#define MAX_EXTENDED 0x80000008

static const struct {
	uint32_t leaf;
	uint8_t sub, reg, bit, feature;
} flags[] = {
#define FEATURE(e, n, leaf, sub, reg, bit) {leaf, sub, reg, bit, FEAT_##e},
#include "cpu/features.def"
#undef FEATURE
};

static void put_flags(const struct cpu_model *m, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].leaf == leaf && flags[i].sub == sub && m->feature[flags[i].feature])
			out[flags[i].reg] |= 1u << flags[i].bit;
}

/* The smallest n with 2^n >= count. */
static unsigned order(unsigned count)
{
	unsigned n = 0;

	while (1u << n < count)
		n++;
	return n;
}

static uint32_t signature(const struct cpu_model *m)
{
	return m->stepping | (m->model & 0xf) << 4 | (uint32_t)m->family << 8 |
		(uint32_t)(m->model >> 4) << 16;
}

static void put_text(uint32_t *out, const char *text, size_t n)
{
	memcpy(out, text, n);
}

static void leaf_vendor(const struct cpu_model *m, uint32_t out[4])
{
	put_text(&out[1], m->vendor, 4);
	put_text(&out[3], m->vendor + 4, 4);
	put_text(&out[2], m->vendor + 8, 4);
}

static void leaf_version(const struct cpu_model *m, uint32_t out[4])
{
	out[0] = signature(m);
	out[1] = 8 << 8; /* CLFLUSH line: 8 quadwords */
	if (m->cpus > 1) {
		out[1] |= (1u << order(m->cpus)) << 16;
		out[3] |= 1u << 28; /* HTT: more than one logical processor ID */
	}
}

/* Deterministic cache parameters: 32K L1D, 32K L1I, 1M L2, 16M L3. */
static void leaf_caches(const struct cpu_model *m, uint32_t sub, uint32_t out[4])
{
	static const struct {
		uint8_t type, level, ways;
		uint16_t sets;
	} cache[] = {{1, 1, 8, 64}, {2, 1, 8, 64}, {3, 2, 16, 1024}, {3, 3, 16, 16384}};
	unsigned sharing = sub == 3 ? (1u << order(m->cpus)) - 1 : 0;

	if (sub >= sizeof(cache) / sizeof(cache[0]))
		return;
	out[0] = cache[sub].type | cache[sub].level << 5 | 1u << 8 | sharing << 14 |
		((1u << order(m->cpus)) - 1) << 26;
	out[1] = 63 | (cache[sub].ways - 1u) << 22;
	out[2] = cache[sub].sets - 1u;
	out[3] = sub == 3 ? 2 : 0; /* inclusive of lower levels */
}

/* Architectural performance monitoring, version 2. */
static void leaf_pmu(const struct cpu_model *m, uint32_t out[4])
{
	if (!m->feature[FEAT_PMU])
		return;
	out[0] = 2 | 4 << 8 | 48 << 16 | 7u << 24; /* four 48-bit counters, seven events, */
	out[1] = 0x78; /* of which last-level cache and branch events are not there */
	out[3] = 3 | 48 << 5; /* three fixed counters of 48 bits */
}

/* Extended topology, one thread a core. Leaf 0Bh. */
static void leaf_topology(const struct cpu_model *m, uint32_t sub, uint32_t out[4])
{
	out[2] = sub & 0xff;
	if (sub == 0) {
		out[1] = 1;
		out[2] |= 1 << 8; /* SMT level */
	} else if (sub == 1) {
		out[0] = order(m->cpus);
		out[1] = m->cpus;
		out[2] |= 2 << 8; /* core level */
	}
}

uint64_t cpu_model_xcr0(const struct cpu_model *m)
{
	uint64_t x = 3; /* x87 and SSE */

	if (!m->feature[FEAT_XSAVE])
		return 0;
	if (m->feature[FEAT_AVX])
		x |= BIT(2);
	if (m->feature[FEAT_PKU])
		x |= BIT(9);
	return x;
}

/* Processor extended state enumeration; sizes by live XCR0 are put in by CPUID. */
static void leaf_xsave(const struct cpu_model *m, uint32_t sub, uint32_t out[4])
{
	uint64_t x = cpu_model_xcr0(m);

	if (!x)
		return;
	if (sub == 0) {
		out[0] = (uint32_t)x;
		out[2] = x & BIT(9) ? 2696 : x & BIT(2) ? 832 : 576;
		out[1] = 576;
		out[3] = (uint32_t)(x >> 32);
	} else if (sub == 2 && (x & BIT(2))) {
		out[0] = 256; /* YMM_Hi128 at its architectural place */
		out[1] = 576;
	} else if (sub == 9 && (x & BIT(9))) {
		out[0] = 8; /* PKRU */
		out[1] = 2688;
	}
}

static void leaf_brand(const struct cpu_model *m, unsigned part, uint32_t out[4])
{
	put_text(out, m->brand + 16 * part, 16);
}

static void leaf_hypervisor(const struct cpu_model *m, uint32_t leaf, uint32_t out[4])
{
	if (!m->feature[FEAT_HYPERVISOR])
		return;
	if (leaf == 0x40000000) {
		const char *name = m->feature[FEAT_KVM_SIGNATURE] ? "KVMKVMKVM\0\0\0" : "nestscope\0\0\0";

		out[0] = 0x40000001;
		put_text(&out[1], name, 4);
		put_text(&out[2], name + 4, 4);
		put_text(&out[3], name + 8, 4);
	}
	/* 40000001h: no paravirtual feature is offered under either name. */
}

static void leaf_address_sizes(const struct cpu_model *m, uint32_t out[4])
{
	out[0] = m->phys_bits | 48 << 8;
}

static void leaf_basic(const struct cpu_model *m, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	switch (leaf) {
	case 0:
		out[0] = MAX_BASIC;
		leaf_vendor(m, out);
		break;
	case 1:
		leaf_version(m, out);
		break;
	case 2:
		out[0] = 0x00feff01; /* see leaf 4 for caches; no TLB descriptors */
		break;
	case 4:
		leaf_caches(m, sub, out);
		break;
	case 5:
		out[0] = out[1] = 64; /* monitor line size */
		out[2] = 3;           /* extensions enumerated; interrupts break MWAIT */
		out[3] = 0x10;        /* one C1 substate */
		break;
	case 0xa:
		leaf_pmu(m, out);
		break;
	case 0xb:
		leaf_topology(m, sub, out);
		break;
	case 0xd:
		leaf_xsave(m, sub, out);
		break;
	case 0x15: /* TSC = crystal x EBX / EAX */
		out[0] = 1;
		out[1] = 1;
		out[2] = CLOCK_HZ;
		break;
	case 0x16:
		out[0] = out[1] = CLOCK_HZ / 1000000;
		out[2] = 100;
		break;
	}
}

void cpu_model_cpuid(const struct cpu_model *m, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	memset(out, 0, 4 * sizeof(*out));
	if (leaf >= 0x40000000 && leaf < 0x40000100) {
		leaf_hypervisor(m, leaf, out);
		return;
	}
	if (leaf > MAX_EXTENDED || (leaf > MAX_BASIC && leaf < 0x80000000))
		leaf = MAX_BASIC; /* as Intel's parts answer */
	switch (leaf) {
	case 0x80000000:
		out[0] = MAX_EXTENDED;
		break;
	case 0x80000001:
		break;
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
		leaf_brand(m, leaf - 0x80000002, out);
		break;
	case 0x80000006:
		out[2] = 1024 << 16 | 6 << 12 | 64; /* L2: 1M, 8-way */
		break;
	case 0x80000008:
		leaf_address_sizes(m, out);
		break;
	default:
		leaf_basic(m, leaf, sub, out);
		break;
	}
	put_flags(m, leaf, leaf == 7 || leaf == 0xd ? sub : 0, out);
}

uint64_t cpu_model_arch_capabilities(const struct cpu_model *m)
{
	/* By bit: RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO,
	 * SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, FB_CLEAR, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO */
	static const uint8_t no_bits[] = {0, 1, 3, 4, 5, 6, 8, 13, 14, 15, 17, 20, 24, 26, 27, 62};
	uint64_t v = 0;

	if (m->feature[FEAT_VULNERABLE])
		return 0;
	for (size_t i = 0; i < sizeof(no_bits); i++)
		v |= BIT(no_bits[i]);
	return v;
}
