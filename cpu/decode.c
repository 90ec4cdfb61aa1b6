#include "cpu/decode.h"

#include "cpu/mnemonic.h"

#include <Zydis/Zydis.h>
#include <string.h>

static void decoder_init(ZydisDecoder *d, unsigned mode, bool stack32)
{
	ZydisMachineMode m = mode == 8 ? ZYDIS_MACHINE_MODE_LONG_64
		: mode == 4                ? ZYDIS_MACHINE_MODE_LEGACY_32
					   : ZYDIS_MACHINE_MODE_LEGACY_16;
	ZydisStackWidth w = mode == 8 ? ZYDIS_STACK_WIDTH_64
		: stack32             ? ZYDIS_STACK_WIDTH_32
				      : ZYDIS_STACK_WIDTH_16;
	ZydisDecoderInit(d, m, w);
	/* Where the feature is absent these encodings are NOPs. */
	ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
	ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
}

/* ZydisRegisterGetId counts SPL..R15B from 8; the enum's order does not lie. */
static bool map_reg(struct insn_operand *o, ZydisRegister r)
{
	static const struct {
		ZydisRegister first, last;
		uint8_t kind;
	} range[] = {
		{ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W, OPND_GPR},
		{ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D, OPND_GPR},
		{ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15, OPND_GPR},
		{ZYDIS_REGISTER_ES, ZYDIS_REGISTER_GS, OPND_SEG},
		{ZYDIS_REGISTER_CR0, ZYDIS_REGISTER_CR15, OPND_CR},
		{ZYDIS_REGISTER_DR0, ZYDIS_REGISTER_DR15, OPND_DR},
		{ZYDIS_REGISTER_ST0, ZYDIS_REGISTER_ST7, OPND_ST},
		{ZYDIS_REGISTER_MM0, ZYDIS_REGISTER_MM7, OPND_MM},
		{ZYDIS_REGISTER_XMM0, ZYDIS_REGISTER_XMM15, OPND_XMM},
		{ZYDIS_REGISTER_YMM0, ZYDIS_REGISTER_YMM15, OPND_YMM},
	};
	if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_R15B) {
		unsigned n = (unsigned)(r - ZYDIS_REGISTER_AL);
		o->kind = OPND_GPR;
		o->high8 = n >= 4 && n < 8;
		o->reg = (uint8_t)(n < 4 ? n : n - 4);
		return true;
	}
	for (unsigned k = 0; k < sizeof(range) / sizeof(range[0]); k++)
		if (r >= range[k].first && r <= range[k].last) {
			o->kind = range[k].kind;
			o->reg = (uint8_t)(r - range[k].first);
			return true;
		}
	return false;
}

static uint8_t map_base(ZydisRegister r)
{
	struct insn_operand o = {0};
	if (r == ZYDIS_REGISTER_NONE)
		return INSN_NO_REG;
	if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
		return INSN_RIP;
	return map_reg(&o, r) ? o.reg : INSN_NO_REG;
}

static void map_mem(struct insn *out, const ZydisDecodedOperandMem *m)
{
	out->seg = (uint8_t)(m->segment - ZYDIS_REGISTER_ES);
	out->base = map_base(m->base);
	out->index = map_base(m->index);
	out->scale = m->scale ? m->scale : 1;
	out->disp = m->disp.has_displacement ? m->disp.value : 0;
}

static bool map_operand(struct insn *out, const ZydisDecodedOperand *z, unsigned n)
{
	struct insn_operand *o = &out->op[n];
	o->size = (uint8_t)(z->size / 8);
	o->written = (z->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
	o->read = (z->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
	switch (z->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return map_reg(o, z->reg.value);
	case ZYDIS_OPERAND_TYPE_MEMORY:
		o->kind = OPND_MEM;
		if (z->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
			o->size = 0;
		map_mem(out, &z->mem);
		return true;
	case ZYDIS_OPERAND_TYPE_POINTER:
		o->kind = OPND_FAR;
		out->imm = z->ptr.offset;
		out->imm2 = z->ptr.segment;
		return true;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		o->kind = z->imm.is_relative ? OPND_REL : OPND_IMM;
		if (n && (out->op[n - 1].kind == OPND_IMM))
			out->imm2 = z->imm.value.u;
		else
			out->imm = z->imm.value.u;
		return true;
	default:
		return false;
	}
}

static bool has_kind(const struct insn *i, unsigned kind)
{
	return i->op[0].kind == kind || i->op[1].kind == kind;
}

static uint16_t split_mnemonic(const struct insn *i, const ZydisDecodedInstruction *z)
{
	bool far_branch = z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		if (has_kind(i, OPND_SEG))
			return ZYDIS_MNEMONIC_MOV_SREG;
		if (has_kind(i, OPND_CR))
			return ZYDIS_MNEMONIC_MOV_CR;
		if (has_kind(i, OPND_DR))
			return ZYDIS_MNEMONIC_MOV_DR;
		break;
	case ZYDIS_MNEMONIC_PUSH:
		if (has_kind(i, OPND_SEG))
			return ZYDIS_MNEMONIC_PUSH_SREG;
		break;
	case ZYDIS_MNEMONIC_POP:
		if (has_kind(i, OPND_SEG))
			return ZYDIS_MNEMONIC_POP_SREG;
		break;
	case ZYDIS_MNEMONIC_CALL:
		if (far_branch)
			return ZYDIS_MNEMONIC_CALL_FAR;
		break;
	case ZYDIS_MNEMONIC_JMP:
		if (far_branch)
			return ZYDIS_MNEMONIC_JMP_FAR;
		break;
	case ZYDIS_MNEMONIC_RET:
		if (far_branch)
			return ZYDIS_MNEMONIC_RET_FAR;
		break;
	case ZYDIS_MNEMONIC_MOVSD:
		if (z->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
			return ZYDIS_MNEMONIC_MOVSD_SSE;
		break;
	case ZYDIS_MNEMONIC_CMPSD:
		if (z->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
			return ZYDIS_MNEMONIC_CMPSD_SSE;
		break;
	default:
		break;
	}
	return (uint16_t)z->mnemonic;
}

static void map_prefixes(struct insn *out, const ZydisDecodedInstruction *z)
{
	for (unsigned k = 0; k < z->raw.prefix_count; k++) {
		uint8_t p = z->raw.prefixes[k].value;
		if (p == 0xf3 || p == 0xf2) {
			out->rep = p == 0xf3;
			out->repne = p == 0xf2;
		}
	}
	out->lock = (z->attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0;
	out->rex_w = z->raw.rex.W;
	out->seg = SEG_DS;
	if (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_CS)
		out->seg = SEG_CS;
	else if (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_SS)
		out->seg = SEG_SS;
	else if (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_ES)
		out->seg = SEG_ES;
	else if (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS)
		out->seg = SEG_FS;
	else if (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS)
		out->seg = SEG_GS;
	out->base = out->index = INSN_NO_REG;
	out->scale = 1;
}

static void map_flags(struct insn *out, const ZydisAccessedFlags *f)
{
	if (!f)
		return;
	out->flags_read = (uint16_t)f->tested;
	out->flags_undefined = (uint16_t)f->undefined;
	out->flags_written = (uint16_t)(f->modified | f->set_0 | f->set_1 | f->undefined);
}

enum decode_status insn_decode(
	const uint8_t *bytes, size_t len, unsigned mode, bool stack32, struct insn *out)
{
	ZydisDecoder d;
	ZydisDecoderContext ctx;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	memset(out, 0, sizeof(*out));
	if (len > 15)
		len = 15;
	memcpy(out->bytes, bytes, len);
	out->len = (uint8_t)len;
	out->mode = (uint8_t)mode;
	out->stacksize = (uint8_t)(mode == 8 ? 8 : stack32 ? 4 : 2);
	decoder_init(&d, mode, stack32);
	ZyanStatus s = ZydisDecoderDecodeInstruction(&d, &ctx, bytes, len, &z);
	if (s == ZYDIS_STATUS_NO_MORE_DATA)
		return len < 15 ? DECODE_MORE : DECODE_LONG;
	if (s == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
		return DECODE_LONG;
	if (!ZYAN_SUCCESS(s) || z.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ||
		z.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX ||
		z.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP ||
		z.encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW)
		return DECODE_UD;
	out->len = z.length;
	out->opsize = z.operand_width / 8;
	out->addrsize = z.address_width / 8;
	out->vex = z.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
	out->vector_len = (uint8_t)(z.avx.vector_length / 8);
	out->opcode = z.opcode;
	out->has_modrm = (z.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
	if (out->has_modrm)
		out->modrm = bytes[z.raw.modrm.offset];
	map_prefixes(out, &z);
	map_flags(out, z.cpu_flags);
	unsigned n = z.operand_count_visible;
	if (n > 5 || !ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&d, &ctx, &z, op, z.operand_count)))
		return DECODE_UD;
	out->operands = (uint8_t)(n < 4 ? n : 4);
	for (unsigned k = 0; k < out->operands; k++)
		if (!map_operand(out, &op[k], k))
			return DECODE_UD;
	out->mnemonic = split_mnemonic(out, &z);
	return DECODE_OK;
}
