/* Which forms there are, and random instructions of a form.
 *
 * Forms are found by asking Zydis' encoder for every combination of operand
 * kinds of every row of the table; nothing is listed by hand.
 */
#include "tests/insn/oracle.h"

#include "cpu/decode.h"
#include "cpu/insn_table.h"
#include "cpu/mnemonic.h"

#include <stdio.h>

static const struct {
	uint16_t row;
	const char *why;
} skipped[] = {
#define SKIP(m, why) {ROW_##m, why},
#include "tests/insn/skip.def"
#undef SKIP
};

const char *forms_skipped(unsigned row)
{
	for (unsigned k = 0; k < sizeof(skipped) / sizeof(skipped[0]); k++)
		if (skipped[k].row == row)
			return skipped[k].why;
	return NULL;
}

static ZydisMnemonic plain_mnemonic(unsigned m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_MOVSD_SSE:
		return ZYDIS_MNEMONIC_MOVSD;
	case ZYDIS_MNEMONIC_CMPSD_SSE:
		return ZYDIS_MNEMONIC_CMPSD;
	default:
		return (ZydisMnemonic)m;
	}
}

static const unsigned mem_size[K_KINDS] = {
	[K_M8] = 1, [K_M16] = 2, [K_M32] = 4, [K_M64] = 8, [K_M128] = 16, [K_M256] = 32, [K_M512] = 64};

static ZydisRegister reg_of(unsigned kind, unsigned n)
{
	static const ZydisRegister low8[16] = {ZYDIS_REGISTER_AL, ZYDIS_REGISTER_CL,
		ZYDIS_REGISTER_DL, ZYDIS_REGISTER_BL, ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_BPL,
		ZYDIS_REGISTER_SIL, ZYDIS_REGISTER_DIL, ZYDIS_REGISTER_R8B, ZYDIS_REGISTER_R9B,
		ZYDIS_REGISTER_R10B, ZYDIS_REGISTER_R11B, ZYDIS_REGISTER_R12B, ZYDIS_REGISTER_R13B,
		ZYDIS_REGISTER_R14B, ZYDIS_REGISTER_R15B};
	switch (kind) {
	case K_R8:
		return n & 16 ? ZYDIS_REGISTER_AH + (n & 3) : low8[n & 15];
	case K_R16:
		return ZYDIS_REGISTER_AX + (n & 15);
	case K_R32:
		return ZYDIS_REGISTER_EAX + (n & 15);
	case K_R64:
		return ZYDIS_REGISTER_RAX + (n & 15);
	default:
		return ZYDIS_REGISTER_CL;
	}
}

static void request_init(const struct oracle *o, const struct form *f, ZydisEncoderRequest *r)
{
	memset(r, 0, sizeof(*r));
	r->machine_mode =
		o->mode == 8 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LONG_COMPAT_32;
	r->mnemonic = plain_mnemonic(f->mnemonic);
	r->operand_count = f->n;
}

static bool is_mem(unsigned kind)
{
	return mem_size[kind] != 0;
}

/* Encodes with simple operands: does the form exist? */
static bool exists(const struct oracle *o, const struct form *f)
{
	/* a random value is no place to jump to */
	if ((f->mnemonic == ZYDIS_MNEMONIC_JMP || f->mnemonic == ZYDIS_MNEMONIC_CALL) &&
		f->kind[0] != K_IMM)
		return false;
	ZydisEncoderRequest r;
	uint8_t buf[15];
	ZyanUSize len = sizeof(buf);
	struct insn i;
	request_init(o, f, &r);
	for (unsigned k = 0; k < f->n; k++) {
		ZydisEncoderOperand *op = &r.operands[k];
		if (f->kind[k] == K_IMM) {
			op->type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
			op->imm.u = 2;
		} else if (is_mem(f->kind[k])) {
			op->type = ZYDIS_OPERAND_TYPE_MEMORY;
			op->mem.base = o->mode == 8 ? ZYDIS_REGISTER_RBX : ZYDIS_REGISTER_EBX;
			op->mem.size = (ZyanU16)mem_size[f->kind[k]];
		} else {
			op->type = ZYDIS_OPERAND_TYPE_REGISTER;
			op->reg.value = reg_of(f->kind[k], f->kind[k] == K_R8 ? 1 : 2);
		}
	}
	if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&r, buf, &len)))
		return false;
	return insn_decode(buf, len, o->mode, true, &i) == DECODE_OK && i.mnemonic == f->mnemonic;
}

static void enumerate_from(struct oracle *o, struct form *f, unsigned at)
{
	if (at == f->n) {
		if (exists(o, f)) {
			assert(o->forms < MAX_FORMS);
			o->form[o->forms++] = *f;
		}
		return;
	}
	for (unsigned k = K_R8; k < K_KINDS; k++) {
		bool two_mem = false;
		for (unsigned j = 0; j < at; j++)
			two_mem |= is_mem(f->kind[j]) && is_mem(k);
		if (two_mem || (o->mode != 8 && k == K_R64))
			continue;
		f->kind[at] = (uint8_t)k;
		enumerate_from(o, f, at + 1);
	}
}

void forms_enumerate(struct oracle *o)
{
	o->forms = 0;
	for (unsigned row = 0; row < ROWS_INT; row++) {
		struct form f = {.mnemonic = insn_table[row].mnemonic};
		unsigned before = o->forms;
		if (forms_skipped(row) || !cpu_has(&o->b.model, insn_table[row].feature))
			continue;
		for (f.n = 0; f.n <= 3; f.n++)
			enumerate_from(o, &f, 0);
		if (o->forms == before)
			o->missing[o->missings++] = (uint16_t)row;
	}
}

/* --- a random instruction */

struct emit {
	struct oracle *o;
	const struct form *f;
	ZydisEncoderRequest r;
	uint32_t fixed; /* registers that carry addresses or counts */
	ZydisEncoderOperand *rip; /* relative to the instruction's end */
};

static unsigned regs(const struct oracle *o)
{
	return o->mode == 8 ? 16 : 8;
}

/* A register that nothing before has changed and nothing has fixed. */
static unsigned free_reg(struct emit *e)
{
	for (unsigned k = 0; k < 64; k++) {
		unsigned n = (unsigned)oracle_random(e->o) % regs(e->o);
		if (n != 4 && !((e->fixed | e->o->written) >> n & 1))
			return n;
	}
	return 16;
}

static uint64_t data_address(struct oracle *o)
{
	/* now and then across the page boundary in the middle */
	if (oracle_random(o) % 8 == 0)
		return ORACLE_DATA + 0x1000 - oracle_random(o) % 34;
	return ORACLE_DATA + 64 + oracle_random(o) % (ORACLE_DATA_SIZE - 192);
}

static uint64_t aligned(struct oracle *o, uint64_t at, unsigned size)
{
	return size >= 16 && oracle_random(o) % 8 ? at & ~(uint64_t)(size - 1) : at;
}

static void fill_mem(struct emit *e, ZydisEncoderOperand *op, unsigned size)
{
	struct oracle *o = e->o;
	uint64_t at = aligned(o, data_address(o), size);
	ZydisRegister first = o->mode == 8 ? ZYDIS_REGISTER_RAX : ZYDIS_REGISTER_EAX;
	int64_t disp = (int64_t)(oracle_random(o) % 2000) - 1000;
	unsigned base = free_reg(e), index, how = (unsigned)oracle_random(o) % 8;
	op->type = ZYDIS_OPERAND_TYPE_MEMORY;
	op->mem.size = (ZyanU16)size;
	if (base == 16 || how == 0) { /* absolute */
		op->mem.displacement = (int64_t)at;
		return;
	}
	if (how == 1 && o->mode == 8) {
		op->mem.base = ZYDIS_REGISTER_RIP;
		op->mem.displacement = (int64_t)(at - (ORACLE_CODE + o->len));
		e->rip = op;
		return;
	}
	if (how == 2)
		disp = 0;
	e->fixed |= 1u << base;
	o->gpr[base] = at - (uint64_t)disp;
	op->mem.base = first + base;
	op->mem.displacement = disp;
	if (how < 5)
		return;
	index = free_reg(e);
	if (index == 16)
		return;
	e->fixed |= 1u << index;
	op->mem.index = first + index;
	op->mem.scale = (ZyanU8)(1u << oracle_random(o) % 4);
	o->gpr[index] = oracle_random(o) % 4096 - 2048;
	o->gpr[base] -= o->gpr[index] * op->mem.scale;
}

static void fill_operand(struct emit *e, unsigned k)
{
	ZydisEncoderOperand *op = &e->r.operands[k];
	unsigned kind = e->f->kind[k];
	struct oracle *o = e->o;
	if (kind == K_IMM) {
		op->type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
		unsigned bits = (unsigned)oracle_random(o) % 4;
		uint64_t v = oracle_value(o);
		op->imm.s = bits == 0 ? (int64_t)v
			: bits == 1   ? (int32_t)v
			: bits == 2   ? (int8_t)v
				      : (int64_t)(v & 0x7f);
		return;
	}
	if (is_mem(kind))
		return fill_mem(e, op, mem_size[kind]);
	op->type = ZYDIS_OPERAND_TYPE_REGISTER;
	unsigned n = (unsigned)oracle_random(o) % regs(o);
	if (kind == K_R8 && oracle_random(o) % 4 == 0)
		n = 16 | n;
	if (kind == K_R8 && !(n & 16) && o->mode != 8)
		n &= 3;
	/* RSP stays a stack pointer, addresses stay addresses */
	if (kind >= K_R8 && kind <= K_R64 && (n == 4 || (e->fixed >> (n & 16 ? n & 3 : n) & 1)))
		n = 3;
	op->reg.value = reg_of(kind, n);
}

static bool is_string(unsigned m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_MOVSB:
	case ZYDIS_MNEMONIC_MOVSW:
	case ZYDIS_MNEMONIC_MOVSD:
	case ZYDIS_MNEMONIC_MOVSQ:
	case ZYDIS_MNEMONIC_STOSB:
	case ZYDIS_MNEMONIC_STOSW:
	case ZYDIS_MNEMONIC_STOSD:
	case ZYDIS_MNEMONIC_STOSQ:
	case ZYDIS_MNEMONIC_LODSB:
	case ZYDIS_MNEMONIC_LODSW:
	case ZYDIS_MNEMONIC_LODSD:
	case ZYDIS_MNEMONIC_LODSQ:
	case ZYDIS_MNEMONIC_CMPSB:
	case ZYDIS_MNEMONIC_CMPSW:
	case ZYDIS_MNEMONIC_CMPSD:
	case ZYDIS_MNEMONIC_CMPSQ:
	case ZYDIS_MNEMONIC_SCASB:
	case ZYDIS_MNEMONIC_SCASW:
	case ZYDIS_MNEMONIC_SCASD:
	case ZYDIS_MNEMONIC_SCASQ:
		return true;
	default:
		return false;
	}
}

/* Registers that an instruction uses without naming them as addresses. */
static bool implied(struct emit *e)
{
	struct oracle *o = e->o;
	unsigned m = e->f->mnemonic;
	if (is_string(m)) {
		const uint32_t used = 1u << RSI | 1u << RDI | 1u << RCX;
		if ((o->written | e->fixed) & used)
			return false;
		o->gpr[RSI] = ORACLE_DATA + 0x1000 + oracle_random(o) % 128 - 64;
		o->gpr[RDI] = ORACLE_DATA + 0x1000 + oracle_random(o) % 128 - 64;
		o->gpr[RCX] = oracle_random(o) % 40;
		e->fixed |= used;
		bool compares = m == ZYDIS_MNEMONIC_CMPSB || m == ZYDIS_MNEMONIC_CMPSW ||
			m == ZYDIS_MNEMONIC_CMPSD || m == ZYDIS_MNEMONIC_CMPSQ ||
			m == ZYDIS_MNEMONIC_SCASB || m == ZYDIS_MNEMONIC_SCASW ||
			m == ZYDIS_MNEMONIC_SCASD || m == ZYDIS_MNEMONIC_SCASQ;
		unsigned how = (unsigned)oracle_random(o) % 3;
		if (how && compares)
			e->r.prefixes |= how == 1 ? ZYDIS_ATTRIB_HAS_REPE : ZYDIS_ATTRIB_HAS_REPNE;
		else if (how)
			e->r.prefixes |= ZYDIS_ATTRIB_HAS_REP;
		return true;
	}
	if (m == ZYDIS_MNEMONIC_XLAT || m == ZYDIS_MNEMONIC_LEAVE) {
		unsigned n = m == ZYDIS_MNEMONIC_XLAT ? RBX : RBP;
		if (o->written >> n & 1)
			return false;
		o->gpr[n] = ORACLE_DATA + 0x800;
		e->fixed |= 1u << n;
	}
	return true;
}

/* A bit offset in a register reaches far beyond a memory operand. */
static bool tame_bit_offset(struct emit *e)
{
	struct oracle *o = e->o;
	unsigned m = e->f->mnemonic;
	bool bit = m == ZYDIS_MNEMONIC_BT || m == ZYDIS_MNEMONIC_BTS || m == ZYDIS_MNEMONIC_BTR ||
		m == ZYDIS_MNEMONIC_BTC;
	if (!bit || !is_mem(e->f->kind[0]) || e->f->kind[1] == K_IMM)
		return true;
	unsigned n = free_reg(e);
	if (n == 16)
		return false;
	e->r.operands[1].reg.value = reg_of(e->f->kind[1], n);
	e->fixed |= 1u << n;
	o->gpr[n] = oracle_random(o) % 1024 - 512;
	if (o->gpr[n] >> 63 && o->mode != 8)
		o->gpr[n] = (uint32_t)o->gpr[n];
	return true;
}

static uint32_t gprs_written(const struct oracle *o, const uint8_t *code, unsigned len)
{
	ZydisDecoder d;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	uint32_t w = 0;
	ZydisDecoderInit(&d, o->mode == 8 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
		o->mode == 8 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, code, len, &z, op)))
		return ~0u;
	for (unsigned k = 0; k < z.operand_count; k++) {
		if (op[k].type != ZYDIS_OPERAND_TYPE_REGISTER ||
			!(op[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		ZydisRegister big = ZydisRegisterGetLargestEnclosing(
			ZYDIS_MACHINE_MODE_LONG_64, op[k].reg.value);
		if (big >= ZYDIS_REGISTER_RAX && big <= ZYDIS_REGISTER_R15)
			w |= 1u << (big - ZYDIS_REGISTER_RAX);
	}
	return w;
}

/* A shift by 0 changes no flag, and a repeated string operation may not run. */
static bool may_keep_flags(const struct insn *i)
{
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_ROL:
	case ZYDIS_MNEMONIC_ROR:
	case ZYDIS_MNEMONIC_RCL:
	case ZYDIS_MNEMONIC_RCR:
	case ZYDIS_MNEMONIC_SHLD:
	case ZYDIS_MNEMONIC_SHRD:
		return true;
	default:
		return i->rep || i->repne;
	}
}

/* Flags and registers as the rest of the sequence may count on them. */
static bool account(struct emit *e, const struct insn *i, const uint8_t *code, unsigned len)
{
	struct oracle *o = e->o;
	if (i->flags_read & o->undefined)
		return false;
	uint32_t w = gprs_written(o, code, len);
	if (w >> RSP & 1 && i->mnemonic != ZYDIS_MNEMONIC_PUSH && i->mnemonic != ZYDIS_MNEMONIC_POP &&
		i->mnemonic != ZYDIS_MNEMONIC_CALL && i->mnemonic != ZYDIS_MNEMONIC_LEAVE &&
		i->mnemonic != ZYDIS_MNEMONIC_ENTER && o->mode == 8)
		return false;
	o->written |= w;
	if (!may_keep_flags(i))
		o->undefined &= ~(uint32_t)(i->flags_written & ~i->flags_undefined);
	o->undefined |= i->flags_undefined;
	o->unsure |= i->flags_undefined;
	return true;
}

static bool branches(const struct form *f)
{
	const struct insn_row *row = insn_row_of(f->mnemonic);
	return f->n == 1 && f->kind[0] == K_IMM && row->attrs & I_ENDS;
}

static bool encode(struct emit *e, uint8_t *buf, ZyanUSize *len)
{
	if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&e->r, buf, len)))
		return false;
	if (!e->rip)
		return true;
	e->rip->mem.displacement -= (int64_t)*len;
	*len = 15;
	return ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&e->r, buf, len));
}

bool forms_emit(struct oracle *o, const struct form *f)
{
	struct emit e = {.o = o, .f = f, .fixed = o->fixed};
	uint8_t buf[15];
	ZyanUSize len = sizeof(buf);
	struct insn i;
	uint64_t saved[16];
	memcpy(saved, o->gpr, sizeof(saved));
	request_init(o, f, &e.r);
	bool ok = implied(&e);
	/* memory first: it decides which registers are addresses */
	for (unsigned k = 0; ok && k < f->n; k++)
		if (is_mem(f->kind[k]))
			fill_operand(&e, k);
	for (unsigned k = 0; ok && k < f->n; k++)
		if (!is_mem(f->kind[k]))
			fill_operand(&e, k);
	ok = ok && tame_bit_offset(&e);
	if (ok && branches(f))
		e.r.operands[0].imm.s = 4; /* over the marker below */
	if (ok && is_mem(f->kind[0]) && insn_row_of(f->mnemonic)->attrs & I_LOCK &&
		oracle_random(o) % 8 == 0 && f->mnemonic != ZYDIS_MNEMONIC_XCHG)
		e.r.prefixes |= ZYDIS_ATTRIB_HAS_LOCK;
	ok = ok && encode(&e, buf, &len) &&
		insn_decode(buf, len, o->mode, true, &i) == DECODE_OK &&
		i.mnemonic == f->mnemonic && account(&e, &i, buf, (unsigned)len);
	if (!ok || o->len + len + 16 > sizeof(o->code)) {
		memcpy(o->gpr, saved, sizeof(saved));
		return false;
	}
	if (oracle_random(o) % 8) /* else addresses may go wild: faults */
		o->fixed = e.fixed;
	o->start[o->insns++] = o->len;
	memcpy(o->code + o->len, buf, len);
	o->len += (unsigned)len;
	if (branches(f)) {
		/* lea r15, [r15+1], or lea edi, [edi+1] of the same length */
		memcpy(o->code + o->len, o->mode == 8 ? "\x4d\x8d\x7f\x01" : "\x3e\x8d\x7f\x01", 4);
		o->len += 4;
		o->written |= o->mode == 8 ? 1u << R15 : 1u << RDI;
	}
	return true;
}
