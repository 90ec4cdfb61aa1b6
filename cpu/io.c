/* Port I/O. SDM Vol. 1 19.5.2 "I/O Permission Bit Map"; the permission check
 * comes before the VM exit, the exit before the memory operand. */
#include "base/bus.h"
#include "cpu/desc.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"

static enum cpu_step permitted(struct vcpu *c, uint16_t port, unsigned size)
{
	const struct seg *tr = &c->seg[SEG_TR];
	uint16_t map;
	uint8_t bits[2];
	unsigned at;

	if (cpu_real(c) || (!cpu_v86(c) && c->cpl <= cpu_iopl(c)))
		return CPU_DONE;
	if ((tr->ar & AR_TYPE) != DESC_TSS32_BUSY || tr->limit < 103)
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_lin_read(c, gva(tr->base + 102), &map, 2, ACCESS_SYSTEM));
	at = map + port / 8u;
	if (at + 1 > tr->limit)
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_lin_read(c, gva(tr->base + at), bits, 2, ACCESS_SYSTEM));
	if ((bits[0] | bits[1] << 8) >> port % 8 & ((1u << size) - 1))
		return cpu_raise_error(c, VEC_GP, 0);
	return CPU_DONE;
}

static enum cpu_step ask(struct vcpu *c, const struct insn *i, uint16_t port, unsigned size,
	bool in, bool string, bool imm)
{
	uint64_t detail = port | size << 16 | (unsigned)in << 24 | (unsigned)string << 25 |
		(unsigned)(string && (i->rep || i->repne)) << 26 | (unsigned)imm << 27;

	CPU_TRY(permitted(c, port, size));
	return cpu_intercepted(c, EV_IO, i, detail);
}

/* The port operand: immediate or DX; `value` operand gives the size. */
static uint16_t port_of(const struct vcpu *c, const struct insn *i, unsigned n, bool *imm)
{
	*imm = i->op[n].kind == OPND_IMM;
	return *imm ? (uint8_t)i->imm : (uint16_t)c->gpr[RDX];
}

static void set_accumulator(struct vcpu *c, unsigned size, uint32_t v)
{
	if (size == 4)
		c->gpr[RAX] = v;
	else if (size == 2)
		c->gpr[RAX] = (c->gpr[RAX] & ~UINT64_C(0xffff)) | (v & 0xffff);
	else
		c->gpr[RAX] = (c->gpr[RAX] & ~UINT64_C(0xff)) | (v & 0xff);
}

/* Bytes that move: never 8, whatever REX.W says. */
static unsigned io_size(const struct insn *i)
{
	return i->opsize == 8 ? 4 : i->opsize;
}

enum cpu_step sys_in(struct vcpu *c, const struct insn *i)
{
	unsigned size = io_size(i);
	bool imm;
	uint16_t port = port_of(c, i, 1, &imm);

	CPU_TRY(ask(c, i, port, size, true, false, imm));
	set_accumulator(c, size, bus_port_read(c->bus, port, size));
	return CPU_DONE;
}

enum cpu_step sys_out(struct vcpu *c, const struct insn *i)
{
	unsigned size = io_size(i);
	bool imm;
	uint16_t port = port_of(c, i, 0, &imm);
	uint32_t v = (uint32_t)c->gpr[RAX];

	CPU_TRY(ask(c, i, port, size, false, false, imm));
	bus_port_write(c->bus, port, size, size == 4 ? v : v & ((1u << 8 * size) - 1));
	return CPU_DONE;
}

static uint64_t addr_mask(const struct insn *i)
{
	return i->addrsize == 8 ? ~UINT64_C(0) : i->addrsize == 4 ? 0xffffffff : 0xffff;
}

/* Adds to RSI, RDI or RCX within the address size. */
static void step_reg(struct vcpu *c, const struct insn *i, enum gpr r, int64_t by)
{
	uint64_t mask = addr_mask(i), v = (c->gpr[r] + (uint64_t)by) & mask;

	c->gpr[r] = i->addrsize == 2 ? (c->gpr[r] & ~mask) | v : v;
}

/* Bookkeeping of one element; CPU_AGAIN while the count is not used up. */
static enum cpu_step element_done(
	struct vcpu *c, const struct insn *i, enum gpr r, unsigned size)
{
	step_reg(c, i, r, c->rflags & FLAG_DF ? -(int64_t)size : (int64_t)size);
	if (!i->rep && !i->repne)
		return CPU_DONE;
	step_reg(c, i, RCX, -1);
	return c->gpr[RCX] & addr_mask(i) ? CPU_AGAIN : CPU_DONE;
}

static bool nothing_to_do(const struct vcpu *c, const struct insn *i)
{
	return (i->rep || i->repne) && !(c->gpr[RCX] & addr_mask(i));
}

enum cpu_step sys_ins(struct vcpu *c, const struct insn *i)
{
	unsigned size = io_size(i);
	uint16_t port = (uint16_t)c->gpr[RDX];
	uint64_t off = c->gpr[RDI] & addr_mask(i);
	uint32_t v;

	if (nothing_to_do(c, i))
		return CPU_DONE;
	CPU_TRY(ask(c, i, port, size, true, true, false));
	CPU_TRY(cpu_mem_probe_write(c, SEG_ES, off, size));
	v = bus_port_read(c->bus, port, size);
	CPU_TRY(cpu_mem_write(c, SEG_ES, off, &v, size));
	return element_done(c, i, RDI, size);
}

enum cpu_step sys_outs(struct vcpu *c, const struct insn *i)
{
	unsigned size = io_size(i);
	uint16_t port = (uint16_t)c->gpr[RDX];
	uint32_t v = 0;

	if (nothing_to_do(c, i))
		return CPU_DONE;
	CPU_TRY(ask(c, i, port, size, false, true, false));
	CPU_TRY(cpu_mem_read(c, i->seg, c->gpr[RSI] & addr_mask(i), &v, size));
	bus_port_write(c->bus, port, size, v);
	return element_done(c, i, RSI, size);
}
