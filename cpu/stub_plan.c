/* From an instruction to a plan (cpu/stub.h). The bytes are the guest's own
 * opcode with ModRM, REX and VEX fields rewritten, so that nothing depends on
 * an encoder's choice among equivalent forms. */
#include "cpu/stub.h"

#include <Zydis/Zydis.h>
#include <string.h>

/* Host registers that stand for operands. */
enum { S_RAX = 0, S_RCX = 1, S_RDX = 2 };

struct decoded {
	ZydisDecodedInstruction in;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	const struct insn *i;
};

static bool decode(const struct insn *i, struct decoded *d)
{
	ZydisDecoder z;
	ZydisDecoderInit(&z,
		i->mode == 8   ? ZYDIS_MACHINE_MODE_LONG_64
		: i->mode == 4 ? ZYDIS_MACHINE_MODE_LEGACY_32
			       : ZYDIS_MACHINE_MODE_LEGACY_16,
		i->mode == 8   ? ZYDIS_STACK_WIDTH_64
		: i->mode == 4 ? ZYDIS_STACK_WIDTH_32
			       : ZYDIS_STACK_WIDTH_16);
	d->i = i;
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&z, i->bytes, i->len, &d->in, d->op));
}

static const ZydisDecodedOperand *find(const struct decoded *d, ZydisOperandType type)
{
	for (unsigned n = 0; n < d->in.operand_count_visible; n++)
		if (d->op[n].type == type)
			return &d->op[n];
	return NULL;
}

static bool has_class(const struct decoded *d, ZydisRegisterClass class)
{
	for (unsigned n = 0; n < d->in.operand_count; n++)
		if (d->op[n].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			ZydisRegisterGetClass(d->op[n].reg.value) == class)
			return true;
	return false;
}

static bool is_gpr(ZydisRegister r)
{
	return r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_R15;
}

/* The visible general-register operand that ModRM.reg or ModRM.rm encodes. */
static const ZydisDecodedOperand *gpr_in(const struct decoded *d, ZydisOperandEncoding where)
{
	for (unsigned n = 0; n < d->in.operand_count_visible; n++)
		if (d->op[n].type == ZYDIS_OPERAND_TYPE_REGISTER && d->op[n].encoding == where &&
			is_gpr(d->op[n].reg.value))
			return &d->op[n];
	return NULL;
}

static struct stub_reg stub_reg(ZydisRegister r, uint8_t scratch)
{
	struct stub_reg s = {0};
	s.scratch = scratch;
	if (r >= ZYDIS_REGISTER_AX)
		s.guest = (uint8_t)((r - ZYDIS_REGISTER_AX) % 16);
	else if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
		s.guest = (uint8_t)(r - ZYDIS_REGISTER_AH), s.high8 = 1;
	else
		s.guest = (uint8_t)(r - ZYDIS_REGISTER_AL - (r > ZYDIS_REGISTER_BH ? 4 : 0));
	return s;
}

static void use_gpr(struct stub_plan *p, const ZydisDecodedOperand *o, uint8_t scratch)
{
	if (!o)
		return;
	if (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
		p->load[p->loads++] = stub_reg(o->reg.value, scratch);
	if (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
		p->store[p->stores++] = stub_reg(o->reg.value, scratch);
}

/* Registers that no field names: RAX, RDX and RCX of PCMPxSTRx; FNSTSW AX. */
static void use_implicit(struct stub_plan *p, const struct decoded *d)
{
	for (unsigned n = 0; n < d->in.operand_count; n++) {
		const ZydisDecodedOperand *o = &d->op[n];
		if (o->type != ZYDIS_OPERAND_TYPE_REGISTER || !is_gpr(o->reg.value) ||
			o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG ||
			o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM)
			continue;
		uint8_t same = stub_reg(o->reg.value, 0).guest;
		use_gpr(p, o, same);
		if (same == S_RDX)
			p->pointer_r8 = true;
		if (o->size == 16 && p->stores)
			p->store[p->stores - 1].word = 1;
	}
}

static void put(struct stub_plan *p, uint8_t b)
{
	p->code[p->code_len++] = b;
}

/* Outside 64-bit mode VEX.W does not choose a 64-bit general register. */
static bool vex_w(const struct decoded *d)
{
	if (d->i->mode != 8)
		switch (d->in.mnemonic) {
		case ZYDIS_MNEMONIC_VMOVD:
		case ZYDIS_MNEMONIC_VPINSRD:
		case ZYDIS_MNEMONIC_VPEXTRD:
		case ZYDIS_MNEMONIC_VCVTSI2SS:
		case ZYDIS_MNEMONIC_VCVTSI2SD:
		case ZYDIS_MNEMONIC_VCVTSS2SI:
		case ZYDIS_MNEMONIC_VCVTSD2SI:
		case ZYDIS_MNEMONIC_VCVTTSS2SI:
		case ZYDIS_MNEMONIC_VCVTTSD2SI:
		case ZYDIS_MNEMONIC_VPCMPESTRI:
		case ZYDIS_MNEMONIC_VPCMPESTRM:
			return false;
		default:
			break;
		}
	return d->in.raw.vex.W;
}

static void put_vex(struct stub_plan *p, const struct decoded *d, bool r, bool b)
{
	uint8_t vvvv = d->in.raw.vex.vvvv;
	if (d->i->mode != 8)
		vvvv |= 8; /* inverted: only eight registers */
	put(p, 0xc4);
	put(p, (uint8_t)(!r << 7 | 1 << 6 | !b << 5 | d->in.raw.vex.m_mmmm));
	put(p, (uint8_t)(vex_w(d) << 7 | vvvv << 3 | d->in.raw.vex.L << 2 | d->in.raw.vex.pp));
}

static void put_legacy(struct stub_plan *p, const struct decoded *d, bool r, bool b)
{
	bool x87 = d->in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT, w = d->in.raw.rex.W;
	for (unsigned k = 0; k < d->in.raw.prefix_count && !x87; k++) {
		uint8_t v = d->in.raw.prefixes[k].value;
		if ((v == 0x66 || v == 0xf2 || v == 0xf3) &&
			d->in.raw.prefixes[k].type != ZYDIS_PREFIX_TYPE_IGNORED)
			put(p, v);
	}
	if ((w || r || b) && !x87)
		put(p, (uint8_t)(0x40 | w << 3 | r << 2 | b));
	if (d->in.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
		put(p, 0x0f);
	if (d->in.opcode_map == ZYDIS_OPCODE_MAP_0F38)
		put(p, 0x38);
	if (d->in.opcode_map == ZYDIS_OPCODE_MAP_0F3A)
		put(p, 0x3a);
}

static void put_immediates(struct stub_plan *p, const struct decoded *d)
{
	for (unsigned n = 0; n < 2; n++)
		for (unsigned k = 0; k < d->in.raw.imm[n].size / 8u; k++)
			put(p, d->i->bytes[d->in.raw.imm[n].offset + k]);
	/* a fourth register in an immediate: bit 7 names XMM8-15, in 64-bit mode */
	for (unsigned n = 0; n < d->in.operand_count_visible; n++)
		if (d->op[n].encoding == ZYDIS_OPERAND_ENCODING_IS4) {
			if (!d->in.raw.imm[0].size)
				put(p, d->i->bytes[d->i->len - 1]);
			if (d->i->mode != 8)
				p->code[p->code_len - 1] &= 0x7f;
		}
}

static void put_operation(struct stub_plan *p, const struct decoded *d)
{
	bool vex = d->in.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX, mem = p->mem;
	uint8_t reg = d->in.raw.modrm.reg, rm = d->in.raw.modrm.rm, mod = 3;
	bool r = vex ? !d->in.raw.vex.R : d->in.raw.rex.R;
	bool b = vex ? !d->in.raw.vex.B : d->in.raw.rex.B;
	const ZydisDecodedOperand *in_reg = gpr_in(d, ZYDIS_OPERAND_ENCODING_MODRM_REG);
	const ZydisDecodedOperand *in_rm = gpr_in(d, ZYDIS_OPERAND_ENCODING_MODRM_RM);

	if (d->i->mode != 8)
		r = b = false;
	if (in_reg)
		reg = S_RAX, r = false;
	if (in_rm)
		rm = S_RCX, b = false;
	if (mem) {
		mod = 0;
		rm = p->pointer_r8 ? 0 : S_RDX;
		b = p->pointer_r8;
	}
	use_gpr(p, in_reg, S_RAX);
	use_gpr(p, in_rm, S_RCX);
	if (vex)
		put_vex(p, d, r, b);
	else
		put_legacy(p, d, r, b);
	put(p, d->in.opcode);
	if (d->in.attributes & ZYDIS_ATTRIB_HAS_MODRM)
		put(p, (uint8_t)(mod << 6 | reg << 3 | rm));
	put_immediates(p, d);
}

/* SDM Vol. 2A 2.5 "Exception Conditions of Instructions in Intel AVX...": SSE
 * operands of 16 bytes are aligned but for these; VEX operands are not, but
 * for the moves that say so. */
static bool needs_alignment(const struct decoded *d, unsigned size)
{
	switch (d->in.mnemonic) {
	case ZYDIS_MNEMONIC_VMOVAPS:
	case ZYDIS_MNEMONIC_VMOVAPD:
	case ZYDIS_MNEMONIC_VMOVDQA:
	case ZYDIS_MNEMONIC_VMOVNTPS:
	case ZYDIS_MNEMONIC_VMOVNTPD:
	case ZYDIS_MNEMONIC_VMOVNTDQ:
	case ZYDIS_MNEMONIC_VMOVNTDQA:
		return true;
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_PCMPISTRI:
	case ZYDIS_MNEMONIC_PCMPISTRM:
		return false;
	default:
		return d->in.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && size == 16;
	}
}

struct isa_row {
	ZydisISASet isa;
	uint8_t gate, feature[2];
};

static const struct isa_row isa_rows[] = {
	{ZYDIS_ISA_SET_X87, GATE_X87, {FEAT_FPU}},
	{ZYDIS_ISA_SET_FCMOV, GATE_X87, {FEAT_FPU, FEAT_CMOV}},
	{ZYDIS_ISA_SET_PPRO, GATE_X87, {FEAT_FPU, FEAT_CMOV}},
	{ZYDIS_ISA_SET_SSE3X87, GATE_X87, {FEAT_FPU, FEAT_SSE3}},
	{ZYDIS_ISA_SET_PENTIUMMMX, GATE_MMX, {FEAT_MMX}},
	{ZYDIS_ISA_SET_SSE, GATE_SSE, {FEAT_SSE}},
	{ZYDIS_ISA_SET_SSE2, GATE_SSE, {FEAT_SSE2}},
	{ZYDIS_ISA_SET_SSE2MMX, GATE_SSE, {FEAT_SSE2}},
	{ZYDIS_ISA_SET_SSE3, GATE_SSE, {FEAT_SSE3}},
	{ZYDIS_ISA_SET_SSSE3, GATE_SSE, {FEAT_SSSE3}},
	{ZYDIS_ISA_SET_SSSE3MMX, GATE_SSE, {FEAT_SSSE3}},
	{ZYDIS_ISA_SET_SSE4, GATE_SSE, {FEAT_SSE4_1}},
	{ZYDIS_ISA_SET_SSE42, GATE_SSE, {FEAT_SSE4_2}},
	{ZYDIS_ISA_SET_AES, GATE_SSE, {FEAT_AES}},
	{ZYDIS_ISA_SET_PCLMULQDQ, GATE_SSE, {FEAT_PCLMUL}},
	{ZYDIS_ISA_SET_SHA, GATE_SSE, {FEAT_SHA}},
	{ZYDIS_ISA_SET_GFNI, GATE_SSE, {FEAT_GFNI}},
	{ZYDIS_ISA_SET_AVX, GATE_AVX, {FEAT_AVX}},
	{ZYDIS_ISA_SET_AVX2, GATE_AVX, {FEAT_AVX2}},
	{ZYDIS_ISA_SET_AVXAES, GATE_AVX, {FEAT_AVX, FEAT_AES}},
	{ZYDIS_ISA_SET_FMA, GATE_AVX, {FEAT_FMA}},
	{ZYDIS_ISA_SET_F16C, GATE_AVX, {FEAT_F16C}},
	{ZYDIS_ISA_SET_VAES, GATE_AVX, {FEAT_VAES}},
	{ZYDIS_ISA_SET_VPCLMULQDQ, GATE_AVX, {FEAT_VPCLMUL}},
	{ZYDIS_ISA_SET_AVX_GFNI, GATE_AVX, {FEAT_AVX, FEAT_GFNI}},
};

static bool set_class(struct stub_plan *p, const struct decoded *d)
{
	const struct isa_row *row = NULL;
	for (unsigned n = 0; n < sizeof isa_rows / sizeof isa_rows[0]; n++)
		if (isa_rows[n].isa == d->in.meta.isa_set)
			row = &isa_rows[n];
	if (!row)
		return false;
	p->gate = row->gate;
	memcpy(p->feature, row->feature, 2);
	switch (d->in.mnemonic) {
	case ZYDIS_MNEMONIC_FISTTP: /* listed under SSE3 */
		p->gate = GATE_X87;
		return true;
	case ZYDIS_MNEMONIC_VZEROALL:
	case ZYDIS_MNEMONIC_VZEROUPPER: /* reach registers that other modes do not have */
		return d->i->mode == 8;
	case ZYDIS_MNEMONIC_FWAIT:
		p->gate = GATE_FWAIT;
		return true;
	case ZYDIS_MNEMONIC_CRC32:
		p->gate = GATE_NONE;
		return true;
	case ZYDIS_MNEMONIC_VPCLMULQDQ:
		if (!p->feature[1])
			p->feature[1] = FEAT_PCLMUL;
		return true;
	default:
		break;
	}
	/* what touches MMX registers alone asks nothing of CR4.OSFXSR */
	if (p->gate == GATE_SSE && has_class(d, ZYDIS_REGCLASS_MMX) &&
		!has_class(d, ZYDIS_REGCLASS_XMM))
		p->gate = GATE_MMX;
	return true;
}

/* Does a pending x87 exception come before anything else? */
static bool waits(const struct decoded *d, uint8_t gate)
{
	switch (d->in.mnemonic) {
	case ZYDIS_MNEMONIC_FNSTCW:
	case ZYDIS_MNEMONIC_FNSTSW:
	case ZYDIS_MNEMONIC_FNINIT:
	case ZYDIS_MNEMONIC_FNCLEX:
		return false;
	case ZYDIS_MNEMONIC_EMMS:
		return true;
	default:
		return gate == GATE_X87 || gate == GATE_FWAIT || has_class(d, ZYDIS_REGCLASS_MMX);
	}
}

static uint8_t pointers(const struct decoded *d, uint8_t gate)
{
	switch (d->in.mnemonic) {
	case ZYDIS_MNEMONIC_FLDCW:
		return POINTERS_STAY_CW;
	case ZYDIS_MNEMONIC_FNCLEX:
		return POINTERS_STAY_SW;
	case ZYDIS_MNEMONIC_FNINIT:
		return POINTERS_CLEAR;
	case ZYDIS_MNEMONIC_FNSTCW:
	case ZYDIS_MNEMONIC_FNSTSW:
	case ZYDIS_MNEMONIC_FENI8087_NOP:
	case ZYDIS_MNEMONIC_FDISI8087_NOP:
	case ZYDIS_MNEMONIC_FSETPM287_NOP:
		return POINTERS_STAY;
	default:
		return gate == GATE_X87 ? POINTERS_SET : POINTERS_STAY;
	}
}

bool stub_plan(const struct insn *i, struct stub_plan *p)
{
	struct decoded d;
	const ZydisDecodedOperand *mem;

	memset(p, 0, sizeof *p);
	if (!decode(i, &d) || !set_class(p, &d))
		return false;
	mem = find(&d, ZYDIS_OPERAND_TYPE_MEMORY);
	if (mem) {
		p->mem = (uint8_t)(mem->size / 8);
		p->mem_read = mem->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
		p->mem_write = mem->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
		p->aligned = needs_alignment(&d, p->mem);
	}
	p->waits = waits(&d, p->gate);
	p->pointers = pointers(&d, p->gate);
	use_implicit(p, &d);
	put_operation(p, &d);
	if (d.in.cpu_flags) {
		const ZydisAccessedFlags *f = d.in.cpu_flags;
		p->flags_in = f->tested & FLAGS_ARITH;
		p->flags_out = (f->modified | f->set_0 | f->set_1 | f->undefined) & FLAGS_ARITH;
		/* an unmasked invalid operand leaves them as they are */
		p->flags_in |= p->flags_out && p->gate == GATE_X87;
	}
	return true;
}
