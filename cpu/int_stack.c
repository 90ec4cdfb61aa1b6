/* PUSH POP PUSHA POPA ENTER LEAVE, near CALL and RET. */
#include "cpu/alu.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/mnemonic.h"
#include "cpu/slow.h"

static uint64_t cut(uint64_t v, unsigned size)
{
	return size == 8 ? v : size == 4 ? (uint32_t)v : (uint16_t)v;
}

uint64_t slow_sp(const struct vcpu *c, const struct insn *i)
{
	return cut(c->gpr[RSP], i->stacksize);
}

void slow_set_sp(struct vcpu *c, const struct insn *i, uint64_t sp)
{
	if (i->stacksize == 2)
		c->gpr[RSP] = (c->gpr[RSP] & ~UINT64_C(0xffff)) | (sp & 0xffff);
	else
		c->gpr[RSP] = cut(sp, i->stacksize);
}

enum cpu_step slow_push_value(struct vcpu *c, const struct insn *i, uint64_t v, unsigned size)
{
	uint64_t sp = cut(c->gpr[RSP] - size, i->stacksize);
	enum cpu_step step = cpu_mem_write(c, SEG_SS, sp, &v, size);
	if (step == CPU_DONE)
		slow_set_sp(c, i, sp);
	return step;
}

enum cpu_step slow_pop_value(struct vcpu *c, const struct insn *i, uint64_t *v, unsigned size)
{
	uint64_t sp = slow_sp(c, i);
	*v = 0;
	enum cpu_step step = cpu_mem_read(c, SEG_SS, sp, v, size);
	if (step == CPU_DONE)
		slow_set_sp(c, i, sp + size);
	return step;
}

enum cpu_step slow_push(struct vcpu *c, const struct insn *i)
{
	uint64_t v;
	enum cpu_step step = insn_read(c, i, 0, &v);
	return step != CPU_DONE ? step : slow_push_value(c, i, v, i->opsize);
}

/* POP to memory: an address based on RSP uses its value after the pop. */
enum cpu_step slow_pop(struct vcpu *c, const struct insn *i)
{
	uint64_t old = c->gpr[RSP], v;
	enum cpu_step step = slow_pop_value(c, i, &v, i->opsize);
	if (step != CPU_DONE)
		return step;
	step = insn_write(c, i, 0, v);
	if (step != CPU_DONE)
		c->gpr[RSP] = old;
	return step;
}

static unsigned all_size(const struct insn *i)
{
	return i->mnemonic == ZYDIS_MNEMONIC_PUSHAD || i->mnemonic == ZYDIS_MNEMONIC_POPAD ? 4 : 2;
}

enum cpu_step slow_pusha(struct vcpu *c, const struct insn *i)
{
	unsigned size = all_size(i);
	uint64_t old = c->gpr[RSP];
	enum cpu_step step = CPU_DONE;
	for (unsigned r = 0; r < 8 && step == CPU_DONE; r++)
		step = slow_push_value(c, i, r == RSP ? old : c->gpr[r], size);
	if (step != CPU_DONE)
		c->gpr[RSP] = old;
	return step;
}

enum cpu_step slow_popa(struct vcpu *c, const struct insn *i)
{
	unsigned size = all_size(i);
	uint64_t old = c->gpr[RSP], v[8];
	enum cpu_step step = CPU_DONE;
	for (unsigned r = 8; r-- && step == CPU_DONE;)
		step = slow_pop_value(c, i, &v[r], size);
	if (step != CPU_DONE) {
		c->gpr[RSP] = old;
		return step;
	}
	for (unsigned r = 0; r < 8; r++) {
		const struct insn_operand o = {
			.kind = OPND_GPR, .reg = (uint8_t)r, .size = (uint8_t)size};
		if (r != RSP)
			gpr_write(c, &o, v[r]);
	}
	return CPU_DONE;
}

enum cpu_step slow_leave(struct vcpu *c, const struct insn *i)
{
	uint64_t old = c->gpr[RSP], v;
	slow_set_sp(c, i, c->gpr[RBP]);
	enum cpu_step step = slow_pop_value(c, i, &v, i->opsize);
	if (step != CPU_DONE) {
		c->gpr[RSP] = old;
		return step;
	}
	const struct insn_operand o = {.kind = OPND_GPR, .reg = RBP, .size = i->opsize};
	gpr_write(c, &o, v);
	return CPU_DONE;
}

/* Copies the display and pushes the frame pointer itself. */
static enum cpu_step enter_display(
	struct vcpu *c, const struct insn *i, unsigned level, uint64_t frame)
{
	uint64_t bp = c->gpr[RBP], v;
	enum cpu_step step = CPU_DONE;
	for (unsigned n = 1; n < level && step == CPU_DONE; n++) {
		bp -= i->opsize;
		v = 0;
		step = cpu_mem_read(c, SEG_SS, cut(bp, i->stacksize), &v, i->opsize);
		if (step == CPU_DONE)
			step = slow_push_value(c, i, v, i->opsize);
	}
	return step == CPU_DONE ? slow_push_value(c, i, frame, i->opsize) : step;
}

enum cpu_step slow_enter(struct vcpu *c, const struct insn *i)
{
	unsigned level = i->imm2 & 31, size = i->imm & 0xffff;
	uint64_t old = c->gpr[RSP];
	enum cpu_step step = slow_push_value(c, i, c->gpr[RBP], i->opsize);
	uint64_t frame = c->gpr[RSP];
	if (step == CPU_DONE && level)
		step = enter_display(c, i, level, frame);
	if (step == CPU_DONE) {
		uint64_t sp = cut(c->gpr[RSP] - size, i->stacksize);
		step = cpu_mem_probe_write(c, SEG_SS, sp, 1);
		if (step == CPU_DONE)
			slow_set_sp(c, i, sp);
	}
	if (step != CPU_DONE) {
		c->gpr[RSP] = old;
		return step;
	}
	const struct insn_operand o = {.kind = OPND_GPR, .reg = RBP, .size = i->opsize};
	gpr_write(c, &o, frame);
	return CPU_DONE;
}

/* --- near branches */

enum cpu_step slow_branch(struct vcpu *c, const struct insn *i, uint64_t target)
{
	if (i->mode == 8) {
		if ((uint64_t)((int64_t)(target << 16) >> 16) != target)
			return cpu_raise_error(c, VEC_GP, 0);
	} else {
		target = cut(target, i->opsize);
		if (target > c->seg[SEG_CS].limit)
			return cpu_raise_error(c, VEC_GP, 0);
	}
	c->next_rip = target;
	return CPU_DONE;
}

static enum cpu_step target_of(struct vcpu *c, const struct insn *i, uint64_t *target)
{
	enum cpu_step step = insn_read(c, i, 0, target);
	if (step == CPU_DONE && i->op[0].kind == OPND_REL)
		*target += c->rip + i->len;
	return step;
}

enum cpu_step slow_jmp(struct vcpu *c, const struct insn *i)
{
	uint64_t target;
	enum cpu_step step = target_of(c, i, &target);
	return step == CPU_DONE ? slow_branch(c, i, target) : step;
}

enum cpu_step slow_jcc(struct vcpu *c, const struct insn *i)
{
	return flags_cond(c, i->opcode & 15) ? slow_jmp(c, i) : CPU_DONE;
}

enum cpu_step slow_call(struct vcpu *c, const struct insn *i)
{
	uint64_t target, next = c->next_rip;
	enum cpu_step step = target_of(c, i, &target);
	if (step == CPU_DONE)
		step = slow_branch(c, i, target);
	if (step == CPU_DONE)
		step = slow_push_value(c, i, next, i->mode == 8 ? 8 : i->opsize);
	return step;
}

enum cpu_step slow_ret(struct vcpu *c, const struct insn *i)
{
	uint64_t old = c->gpr[RSP], target;
	enum cpu_step step = slow_pop_value(c, i, &target, i->mode == 8 ? 8 : i->opsize);
	if (step == CPU_DONE)
		step = slow_branch(c, i, target);
	if (step != CPU_DONE) {
		c->gpr[RSP] = old;
		return step;
	}
	if (i->operands)
		slow_set_sp(c, i, c->gpr[RSP] + (i->imm & 0xffff));
	return CPU_DONE;
}

static uint64_t count_of(const struct vcpu *c, const struct insn *i)
{
	return cut(c->gpr[RCX], i->addrsize);
}

enum cpu_step slow_jcxz(struct vcpu *c, const struct insn *i)
{
	return count_of(c, i) == 0 ? slow_jmp(c, i) : CPU_DONE;
}

enum cpu_step slow_loop(struct vcpu *c, const struct insn *i)
{
	const struct insn_operand o = {.kind = OPND_GPR, .reg = RCX, .size = i->addrsize};
	uint64_t n = cut(c->gpr[RCX] - 1, i->addrsize);
	bool go = n != 0;
	if (i->mnemonic != ZYDIS_MNEMONIC_LOOP)
		go = go && flags_cond(c, i->mnemonic == ZYDIS_MNEMONIC_LOOPE ? 4 : 5);
	enum cpu_step step = go ? slow_jmp(c, i) : CPU_DONE;
	if (step == CPU_DONE)
		gpr_write(c, &o, n);
	return step;
}
