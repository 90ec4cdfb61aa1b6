/* Registers by table. */
#include "introspect/private.h"
#include "introspect/regs_bits.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct reg_info regs[R_COUNT] = {
#define REG(id, name, bits, group, type) [R_##id] = {name, bits, REG_GROUP_##group, type},
#include "introspect/regs.def"
#undef REG
};

const struct reg_info *reg_info(enum reg_id id)
{
	return &regs[id];
}

const char *reg_group_name(enum reg_group g)
{
	static const char *const names[REG_GROUPS] = {
		"general", "segment", "x87", "sse", "avx", "control", "debug", "msr", "vmx"};
	return names[g];
}

enum reg_id reg_find(const char *name)
{
	static const struct {
		const char *alias;
		enum reg_id id;
	} aliases[] = {{"rflags", R_EFLAGS}, {"flags", R_EFLAGS}, {"pc", R_RIP}, {"sp", R_RSP},
		{"fp", R_RBP}, {"k_gs_base", R_KERNEL_GS_BASE}, {"tpr", R_CR8}};
	if (*name == '$')
		name++;
	for (enum reg_id i = 0; i < R_COUNT; i++)
		if (!strcasecmp(regs[i].name, name))
			return i;
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (!strcasecmp(aliases[i].alias, name))
			return aliases[i].id;
	return R_COUNT;
}

static const struct {
	enum reg_id reg;
	uint8_t bit;
	const char *name;
} bits[] = {
#define REG_BIT(reg, bit, name) {R_##reg, bit, name},
#include "introspect/regs_bits.def"
#undef REG_BIT
};

bool reg_bit(enum reg_id id, unsigned i, unsigned *bit, const char **name)
{
	for (size_t k = 0; k < sizeof bits / sizeof *bits; k++) {
		if (bits[k].reg == id && !i--) {
			*bit = bits[k].bit;
			*name = bits[k].name;
			return true;
		}
	}
	return false;
}

void reg_decode(enum reg_id id, uint64_t value, struct buf *out)
{
	unsigned bit;
	const char *name, *gap = "";
	for (unsigned i = 0; reg_bit(id, i, &bit, &name); i++) {
		if (value >> bit & 1) {
			buf_fmt(out, "%s%s", gap, name);
			gap = " ";
		}
	}
	if (id == R_EFLAGS && value >> 12 & 3)
		buf_fmt(out, "%sIOPL=%u", gap, (unsigned)(value >> 12 & 3));
}

static bool derived(struct intro *s, struct place at, enum reg_id id, uint64_t *v)
{
	struct intro_vcpu cpu;
	uint64_t base = 0, ar = 0, efer = 0;
	switch (id) {
	case R_LEVEL:
		*v = at.level;
		return true;
	case R_CLOCK:
		*v = intro_position(s).clock;
		return true;
	case R_RETIRED:
	case R_VMX_MODE:
	case R_VMCS12_PTR:
		if (!intro_vcpu(s, at.vcpu, &cpu))
			return false;
		*v = id == R_RETIRED ? cpu.retired : id == R_VMX_MODE ? cpu.vmx : cpu.vmcs12;
		return true;
	case R_PC_LINEAR:
		if (!intro_reg_u64(s, at, R_RIP, v) || !intro_reg_u64(s, at, R_CS_BASE, &base))
			return false;
		if (intro_code_bits(s, at) != 64)
			*v = (uint32_t)(*v + base);
		return true;
	case R_CODE_BITS:
		if (!intro_reg_u64(s, at, R_CS_AR, &ar) || !intro_reg_u64(s, at, R_EFER, &efer))
			return false;
		*v = (efer >> 10 & 1) && (ar >> 13 & 1) ? 64 : (ar >> 14 & 1) ? 32 : 16;
		return true;
	case R_CPL:
		if (!intro_reg_u64(s, at, R_SS_AR, &ar))
			return false;
		*v = ar >> 5 & 3;
		return true;
	default:
		return false;
	}
}

bool intro_reg(struct intro *s, struct place at, enum reg_id id, struct reg_value *out)
{
	uint64_t v;
	*out = (struct reg_value){.size = (uint8_t)((regs[id].bits + 7) / 8)};
	if (intro_place_state(s, at) == PLACE_NONE)
		return false;
	if (s->ops->reg_get(s->ctx, at, id, out) && out->available)
		return true;
	out->available = false;
	if (regs[id].group != REG_GROUP_VMX || !derived(s, at, id, &v))
		return false;
	memcpy(out->bytes, &v, 8);
	return out->available = true;
}

bool intro_reg_u64(struct intro *s, struct place at, enum reg_id id, uint64_t *out)
{
	struct reg_value v;
	if (regs[id].bits > 64 || !intro_reg(s, at, id, &v))
		return false;
	*out = 0;
	memcpy(out, v.bytes, v.size);
	return true;
}

bool intro_set_reg(struct intro *s, struct place at, enum reg_id id, const void *bytes, size_t len,
	struct err *e)
{
	uint8_t full[16] = {0};
	size_t size = (regs[id].bits + 7u) / 8;
	struct reg_value old;
	if (!intro_check(s, at, e))
		return false;
	if (regs[id].group == REG_GROUP_VMX)
		return err_set(e, ERR_GENERAL, "'%s' is the inspector's own and cannot be written",
			regs[id].name);
	if (!intro_reg(s, at, id, &old))
		return err_set(e, ERR_GENERAL, "'%s' is not available: this level is not running",
			regs[id].name);
	if (!s->ops->reg_set)
		return intro_cannot(s, "change registers", e);
	memcpy(full, bytes, len < size ? len : size);
	if (!s->ops->reg_set(s->ctx, at, id, full, size, e))
		return false;
	intro_changed(s, at, regs[id].name);
	return true;
}

bool intro_set_reg_u64(
	struct intro *s, struct place at, enum reg_id id, uint64_t value, struct err *e)
{
	if (regs[id].bits > 64)
		return err_set(e, ERR_GENERAL, "'%s' has %u bits; give it as bytes", regs[id].name,
			regs[id].bits);
	if (regs[id].bits < 64 && value >> regs[id].bits)
		return err_set(e, ERR_GENERAL, "0x%llx does not fit the %u bits of '%s'",
			(unsigned long long)value, regs[id].bits, regs[id].name);
	return intro_set_reg(s, at, id, &value, sizeof value, e);
}

bool intro_pc(struct intro *s, struct place at, uint64_t *linear)
{
	return intro_reg_u64(s, at, R_PC_LINEAR, linear);
}

unsigned intro_code_bits(struct intro *s, struct place at)
{
	uint64_t v;
	return intro_reg_u64(s, at, R_CODE_BITS, &v) ? (unsigned)v : 0;
}
