/* Disassembly by Zydis. */
#include "introspect/private.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

struct namer {
	struct intro *s;
	struct place at;
};

static void classify(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *op,
	uint64_t address, struct insn_text *out)
{
	ZyanU64 target;
	out->target = UINT64_MAX;
	out->is_call = insn->meta.category == ZYDIS_CATEGORY_CALL;
	out->is_return = insn->meta.category == ZYDIS_CATEGORY_RET;
	out->is_branch = insn->meta.category == ZYDIS_CATEGORY_COND_BR ||
		insn->meta.category == ZYDIS_CATEGORY_UNCOND_BR;
	for (unsigned i = 0; i < insn->operand_count_visible; i++) {
		bool relative = op[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && op[i].imm.is_relative;
		bool rip = op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && op[i].mem.base == ZYDIS_REGISTER_RIP;
		if ((relative || (rip && !out->is_call && !out->is_branch)) &&
			ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(insn, &op[i], address, &target)))
			out->target = target;
	}
}

/* "call 0xffff..." becomes "call 0xffff... <name>". */
static void add_symbol(struct namer *n, struct insn_text *t)
{
	struct symbol y;
	size_t len = strlen(t->text);
	if (t->target == UINT64_MAX || !intro_symbol_at(n->s, n->at, t->target, &y))
		return;
	if (t->target == y.address)
		snprintf(t->text + len, sizeof t->text - len, " <%s>", y.name);
	else
		snprintf(t->text + len, sizeof t->text - len, " <%s+0x%llx>", y.name,
			(unsigned long long)(t->target - y.address));
}

static void one(struct namer *n, const ZydisDecoder *dec, const ZydisFormatter *fmt,
	const uint8_t *bytes, size_t len, uint64_t address, struct insn_text *out)
{
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	*out = (struct insn_text){.address = address, .length = 1, .target = UINT64_MAX};
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(dec, bytes, len, &insn, op))) {
		out->bytes[0] = bytes[0];
		snprintf(out->text, sizeof out->text, "(bad)");
		return;
	}
	out->length = insn.length;
	memcpy(out->bytes, bytes, insn.length);
	ZydisFormatterFormatInstruction(fmt, &insn, op, insn.operand_count_visible, out->text,
		sizeof out->text, address, NULL);
	classify(&insn, op, address, out);
	add_symbol(n, out);
}

static bool decoder_for(unsigned bits, ZydisDecoder *dec)
{
	ZydisMachineMode mode = bits == 64 ? ZYDIS_MACHINE_MODE_LONG_64 :
		bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16;
	ZydisStackWidth width = bits == 64 ? ZYDIS_STACK_WIDTH_64 :
		bits == 32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16;
	return ZYAN_SUCCESS(ZydisDecoderInit(dec, mode, width));
}

size_t intro_disas(struct intro *s, struct place at, uint64_t address, unsigned bits,
	struct insn_text *out, size_t max, struct err *e)
{
	ZydisDecoder dec;
	ZydisFormatter fmt;
	struct namer n = {s, at};
	uint8_t window[PAGE_SIZE];
	uint64_t base = address;
	size_t have = 0, pos = 0, count = 0;
	struct intro_mem_fail why = {.status = MEM_OK};
	if (!bits)
		bits = intro_code_bits(s, at);
	if (!bits)
		bits = 64;
	if (!decoder_for(bits, &dec))
		return 0;
	ZydisFormatterInit(&fmt, ZYDIS_FORMATTER_STYLE_INTEL);
	ZydisFormatterSetProperty(&fmt, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
	ZydisFormatterSetProperty(&fmt, ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED);
	ZydisFormatterSetProperty(&fmt, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED);
	ZydisFormatterSetProperty(&fmt, ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_PADDING_DISABLED);
	while (count < max) {
		if (have - pos < 16 && why.status == MEM_OK) {
			base += pos;
			size_t want = (max - count) * 8 + 16;
			want = want > sizeof window ? sizeof window : want;
			have = intro_read(s, at, SPACE_VIRTUAL, base, window, want, &why);
			pos = 0;
		}
		if (pos >= have)
			break;
		size_t left = have - pos > 15 ? 15 : have - pos;
		one(&n, &dec, &fmt, window + pos, left, base + pos, &out[count]);
		pos += out[count++].length;
	}
	if (!count && why.status != MEM_OK)
		err_set(e, ERR_GENERAL, "%s", why.why);
	return count;
}

uint64_t intro_disas_back(struct intro *s, struct place at, uint64_t address, unsigned n)
{
	struct insn_text t[160];
	struct symbol y;
	if (n > 64)
		n = 64;
	uint64_t start = address > 8u * n + 16 ? address - 8u * n - 16 : 0;
	if (intro_symbol_at(s, at, address, &y) && y.address > start)
		start = y.address;
	/* a start from which decoding meets the address exactly */
	for (uint64_t from = start; from < address && from < start + 16; from++) {
		size_t got = intro_disas(s, at, from, 0, t, 160, NULL);
		for (size_t i = 0; i < got; i++)
			if (t[i].address == address)
				return t[i > n ? i - n : 0].address;
	}
	return address;
}
