#include "cpu/msr.h"

#include "base/log.h"
#include "cpu/desc.h"
#include "cpu/insn_table.h"
#include "cpu/model.h"
#include "cpu/msr_special.h"

#include <stddef.h>

enum msr_kind { FIELD, CONSTANT, SINK, ZERO, ABSENT, FUNC };

struct msr_row {
	uint32_t first, last;
	const char *name;
	enum msr_kind kind;
	uint16_t offset;     /* FIELD: within struct vcpu */
	uint64_t value;      /* FIELD: at reset; CONSTANT: what it reads */
	uint64_t mask;       /* FIELD, SINK: writable bits */
	msr_read_fn *read;   /* FUNC: NULL is #GP */
	msr_write_fn *write;
};

static const struct msr_row rows[] = {
#define none                                NULL
#define MSR_FIELD(n, name, f, reset, mask)  {n, n, #name, FIELD, offsetof(struct vcpu, f), reset, mask, NULL, NULL},
#define MSR_CONST(n, name, v)               {n, n, #name, CONSTANT, 0, v, 0, NULL, NULL},
#define MSR_SINK(n, name, mask)             {n, n, #name, SINK, 0, 0, mask, NULL, NULL},
#define MSR_ZERO(n, name)                   {n, n, #name, ZERO, 0, 0, 0, NULL, NULL},
#define MSR_ABSENT(n, name)                 {n, n, #name, ABSENT, 0, 0, 0, NULL, NULL},
#define MSR_FUNC(n, name, rd, wr)           {n, n, #name, FUNC, 0, 0, 0, rd, wr},
#define MSR_RANGE(first, last, name, rd, wr) {first, last, #name, FUNC, 0, 0, 0, rd, wr},
#include "cpu/msrs.def"
#undef none
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* The rows stand in ascending order. */
static const struct msr_row *row_of(uint32_t n)
{
	unsigned low = 0, high = ROWS;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (n > rows[mid].last)
			low = mid + 1;
		else if (n < rows[mid].first)
			high = mid;
		else
			return &rows[mid];
	}
	return NULL;
}

const char *msr_name(uint32_t n)
{
	const struct msr_row *r = row_of(n);

	return r ? r->name : NULL;
}

static uint64_t *field(struct vcpu *c, const struct msr_row *r)
{
	return (uint64_t *)((char *)c + r->offset);
}

void msr_reset(struct vcpu *c)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].kind == FIELD)
			*field(c, &rows[i]) = rows[i].value;
	c->msr.pat = UINT64_C(0x0007040600070406);
}

static bool unknown(struct vcpu *c, uint32_t n, const char *what)
{
	if (c->log)
		log_once(c->log, LOG_INFO, "msr", n, "unknown MSR %#x: %s at rip %#llx", n, what,
			(unsigned long long)c->rip);
	return cpu_has(c->model, FEAT_IGNORE_MSRS);
}

bool msr_read(struct vcpu *c, uint32_t n, uint64_t *v)
{
	const struct msr_row *r = row_of(n);

	*v = 0;
	if (!r)
		return unknown(c, n, "read");
	switch (r->kind) {
	case FIELD:
		*v = *field(c, r);
		return true;
	case CONSTANT:
		*v = r->value;
		return true;
	case ZERO:
		return true;
	case FUNC:
		return r->read && r->read(c, n, v);
	case ABSENT:
		return cpu_has(c->model, FEAT_IGNORE_MSRS);
	default:
		return false;
	}
}

bool msr_write(struct vcpu *c, uint32_t n, uint64_t v)
{
	const struct msr_row *r = row_of(n);

	if (!r)
		return unknown(c, n, "write");
	switch (r->kind) {
	case FIELD:
		if (v & ~r->mask)
			return false;
		*field(c, r) = v;
		return true;
	case SINK:
		return !(v & ~r->mask);
	case ZERO:
		return true;
	case FUNC:
		return r->write && r->write(c, n, v);
	case ABSENT:
		return cpu_has(c->model, FEAT_IGNORE_MSRS);
	default:
		return false;
	}
}

enum cpu_step sys_rdmsr(struct vcpu *c, const struct insn *i)
{
	uint32_t n = (uint32_t)c->gpr[RCX];
	enum cpu_step s = CPU_DONE;
	uint64_t v = 0;

	CPU_TRY(cpu_intercepted(c, EV_RDMSR, i, n));
	if (c->hooks && c->hooks->rdmsr && c->hooks->rdmsr(c, n, &v, &s)) {
		if (s != CPU_DONE)
			return s;
	} else if (!msr_read(c, n, &v)) {
		return cpu_raise_error(c, VEC_GP, 0);
	}
	c->gpr[RAX] = (uint32_t)v;
	c->gpr[RDX] = v >> 32;
	return CPU_DONE;
}

enum cpu_step sys_wrmsr(struct vcpu *c, const struct insn *i)
{
	uint32_t n = (uint32_t)c->gpr[RCX];
	uint64_t v = (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32;
	enum cpu_step s = CPU_DONE;

	CPU_TRY(cpu_intercepted(c, EV_WRMSR, i, n));
	if (c->hooks && c->hooks->wrmsr && c->hooks->wrmsr(c, n, v, &s))
		return s;
	return msr_write(c, n, v) ? CPU_DONE : cpu_raise_error(c, VEC_GP, 0);
}
