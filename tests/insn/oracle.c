/* oracle [-n STATES] [-s SEED] [-m 64|32] [-o ROW] [-t HEAT] [-x STATE]: runs the
 * differential test, see oracle.h; -t says how often a block is entered before
 * it is translated (0: never); -x repeats one state that failed. */
#include "tests/insn/oracle.h"

#include "cpu/insn_table.h"
#include "cpu/mem.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define FLAGS_SEEN (FLAGS_ARITH | FLAG_DF)

uint64_t oracle_random(struct oracle *o)
{
	uint64_t z = o->rng += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t oracle_value(struct oracle *o)
{
	static const uint64_t edge[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX, 0x55, 31, 32, 33,
		63, 64};
	uint64_t r = oracle_random(o);
	switch (r & 7) {
	case 0:
	case 1:
		return edge[(r >> 8) % (sizeof(edge) / sizeof(edge[0]))];
	case 2:
		return r >> 56;
	case 3:
		return (uint64_t)(int64_t)(int32_t)(r >> 32);
	case 4:
		return UINT64_C(1) << (r >> 58);
	default:
		return oracle_random(o);
	}
}

/* --- the guest */

static enum cpu_step on_event(
	struct vcpu *c, enum cpu_event ev, const struct insn *i, uint64_t detail)
{
	(void)c;
	(void)i;
	(void)detail;
	return ev == EV_FAULT ? CPU_EXIT : CPU_DONE;
}

static const struct cpu_hooks hooks = {.intercept = on_event};

static void guest_mode(struct oracle *o)
{
	struct vcpu *c = o->b.c;
	c->cpl = 3;
	for (unsigned n = 0; n < 6; n++)
		c->seg[n] = (struct seg){.limit = UINT32_MAX, .ar = 0xc0f3, .sel = 0x2b};
	c->seg[SEG_CS] = (struct seg){
		.limit = UINT32_MAX, .ar = o->mode == 8 ? 0xa0fb : 0xc0fb, .sel = 0x33};
	vcpu_state_changed(c);
}

static void guest_init(struct oracle *o)
{
	struct bare *b = &o->b;
	bare_init(b);
	for (uint64_t n = 0; n < BARE_RAM >> 21; n++) /* nothing but the region */
		bare_put64(b, BARE_TABLES + 0x2000 + 8 * n, 0);
	bare_put64(b, BARE_TABLES + 0x2000 + 8 * (ORACLE_AT >> 21), ORACLE_GPA | 0xe7);
	b->c->hooks = &hooks;
	b->c->nonroot.on = true;
	b->c->nonroot.vpid = 1;
	b->c->nonroot.apic_access = hpa(UINT64_MAX);
	guest_mode(o);
	tlb_flush_everything(b->c);
	engine_mark(b->engine, gva(ORACLE_END));
}

/* --- one state */

static void put_code(struct oracle *o)
{
	uint32_t rel = (uint32_t)(ORACLE_END - (ORACLE_CODE + o->len + 5));
	o->code[o->len] = 0xe9;
	memcpy(o->code + o->len + 1, &rel, 4);
	memcpy((void *)ORACLE_CODE, o->code, o->len + 5);
	phys_write(&o->b.phys, hpa(ORACLE_GPA + (ORACLE_CODE - ORACLE_AT)), o->code, o->len + 5);
}

/* In both memories: operands can lie there. */
static void put_exit(struct oracle *o)
{
	uint8_t *p = (uint8_t *)ORACLE_END;
	uint32_t at = (uint32_t)ORACLE_CTX + (o->mode == 8 ? 144 : 168);
	memcpy(p, o->mode == 8 ? "\xff\x24\x25" : "\xff\x2d", 3);
	memcpy(p + (o->mode == 8 ? 3 : 2), &at, 4);
	phys_write(&o->b.phys, hpa(ORACLE_GPA + (ORACLE_END - ORACLE_AT)), p, 7);
}

static void random_registers(struct oracle *o)
{
	for (unsigned r = 0; r < 16; r++)
		o->gpr[r] = oracle_value(o);
	o->gpr[RSP] = ORACLE_DATA + 0x1800 - oracle_random(o) % 16 * 8;
	o->flags = (uint32_t)oracle_random(o) & FLAGS_ARITH;
	if (oracle_random(o) % 4 == 0)
		o->flags |= FLAG_DF;
	o->flags |= FLAG_1;
	o->written = o->undefined = o->unsure = o->fixed = 0;
	o->len = o->insns = 0;
}

static void build_sequence(struct oracle *o, const struct form *pick, unsigned picks)
{
	unsigned want = 1 + (unsigned)oracle_random(o) % 6;
	for (unsigned tries = 0; o->insns < want && tries < 12; tries++)
		forms_emit(o, &pick[oracle_random(o) % picks]);
	if (o->mode != 8)
		for (unsigned r = 0; r < 16; r++)
			o->gpr[r] = r < 8 ? (uint32_t)o->gpr[r] : 0;
}

/* The engine's memory becomes the host's, so that a difference is told once. */
static void same_memory(struct oracle *o)
{
	phys_write(&o->b.phys, hpa(ORACLE_GPA), (void *)ORACLE_AT, ORACLE_SIZE);
}

static void report(struct oracle *o, const char *what)
{
	ZydisDisassembledInstruction d;
	printf("state %#llx: %s\n", (unsigned long long)o->seed, what);
	for (unsigned at = 0; at < o->len; at += d.info.length) {
		if (!ZYAN_SUCCESS(ZydisDisassembleIntel(
			    o->mode == 8 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
			    ORACLE_CODE + at, o->code + at, o->len - at, &d)))
			break;
		printf("  %llx  ", (unsigned long long)ORACLE_CODE + at);
		for (unsigned k = 0; k < d.info.length; k++)
			printf("%02x", o->code[at + k]);
		printf("  %s\n", d.text);
	}
	for (unsigned r = 0; r < (o->mode == 8 ? 16u : 8u); r++)
		printf("  r%-2u in %016llx native %016llx emulated %016llx%s\n", r,
			(unsigned long long)o->gpr[r], (unsigned long long)o->ctx->gpr[r],
			(unsigned long long)o->b.c->gpr[r],
			o->ctx->gpr[r] == o->b.c->gpr[r] ? "" : "  <<");
	printf("  flags in %x native %llx emulated %llx undefined %x\n", o->flags,
		(unsigned long long)o->ctx->flags & FLAGS_SEEN,
		(unsigned long long)o->b.c->rflags & FLAGS_SEEN, o->undefined);
	o->failures++;
	same_memory(o);
}

static uint8_t *guest_data(struct oracle *o)
{
	return o->b.phys.range[0].host + ORACLE_GPA + (ORACLE_DATA - ORACLE_AT);
}

static bool compare_registers(struct oracle *o)
{
	const struct vcpu *c = o->b.c;
	for (unsigned r = 0; r < (o->mode == 8 ? 16u : 8u); r++) {
		uint64_t a = o->ctx->gpr[r], b = c->gpr[r];
		if (o->mode != 8 ? (uint32_t)a != (uint32_t)b : a != b)
			return report(o, "registers differ"), false;
	}
	return true;
}

static void compare(struct oracle *o, const struct native_fault *f, enum cpu_leave why)
{
	const struct vcpu *c = o->b.c;
	char text[200];
	if (f->hit && f->rip == ORACLE_END)
		return; /* a wild store hit the native way out */
	/* code that wrote itself may have read a flag that has no defined value */
	if (o->unsure && memcmp((void *)ORACLE_CODE, o->code, o->len + 5))
		return same_memory(o);
	if (why != LEAVE_VMEXIT && why != LEAVE_BREAK) {
		snprintf(text, sizeof(text), "the engine left with %d at %#llx", why,
			(unsigned long long)c->rip);
		return report(o, text);
	}
	if (f->hit != (why == LEAVE_VMEXIT) || (f->hit && f->vector != c->fault.vector) ||
		(f->hit && f->rip != c->rip) ||
		(f->hit && f->vector == VEC_PF && f->cr2 != c->fault.payload)) {
		snprintf(text, sizeof(text),
			"faults differ: native %d vector %u rip %#llx cr2 %#llx, emulated %d vector %u "
			"rip %#llx cr2 %#llx",
			f->hit, f->vector, (unsigned long long)f->rip, (unsigned long long)f->cr2,
			why == LEAVE_VMEXIT, c->fault.vector, (unsigned long long)c->rip,
			(unsigned long long)c->fault.payload);
		return report(o, text);
	}
	o->faults += f->hit;
	if (!compare_registers(o))
		return;
	uint32_t seen = FLAGS_SEEN & ~o->undefined;
	if (!f->hit && ((o->ctx->flags ^ c->rflags) & seen))
		return report(o, "flags differ");
	if (memcmp((void *)ORACLE_DATA, guest_data(o), ORACLE_DATA_SIZE))
		report(o, "memory differs");
}

static void run_state(struct oracle *o, uint64_t seed, const struct form *pick, unsigned picks)
{
	struct vcpu *c = o->b.c;
	o->seed = o->rng = seed;
	random_registers(o);
	build_sequence(o, pick, picks);
	if (!o->insns)
		return;
	o->states++;
	o->insns_run += o->insns;
	put_code(o);
	put_exit(o); /* a wild store may have hit it */
	memcpy(o->ctx->gpr, o->gpr, sizeof(o->gpr));
	o->ctx->flags = o->flags | FLAG_IF;
	memcpy(c->gpr, o->gpr, sizeof(o->gpr));
	c->rflags = o->flags | FLAG_IF;
	c->rip = ORACLE_CODE;
	struct native_fault f = native_run(o->ctx, ORACLE_CODE, o->mode);
	enum cpu_leave why = engine_run(c, 10000);
	compare(o, &f, why);
}

static void run(struct oracle *o, uint64_t seed, uint64_t states, const char *only)
{
	const struct form *pick = o->form;
	static struct form chosen[MAX_FORMS];
	unsigned picks = o->forms;
	if (only) {
		picks = 0;
		for (unsigned k = 0; k < o->forms; k++)
			if (!strcmp(insn_row_of(o->form[k].mnemonic)->name, only))
				chosen[picks++] = o->form[k];
		pick = chosen;
		if (!picks) {
			printf("%s has no form here\n", only);
			return;
		}
	}
	for (uint64_t n = 0; n < states && o->failures < 8; n++) {
		/* every form leads a state in turn; its companions are random */
		run_state(o, seed + n * UINT64_C(0x632be59bd9b4e019), pick, picks);
	}
}

static void print_missing(const struct oracle *o, bool reached[ROW_COUNT])
{
	for (unsigned k = 0; k < o->forms; k++)
		reached[insn_row_of(o->form[k].mnemonic) - insn_table] = true;
	printf("rows without a form:");
	for (unsigned k = 0; k < o->missings; k++)
		printf(" %s", insn_table[o->missing[k]].name);
	printf("%s\n", o->missings ? "" : " none");
}

/* What no mode reaches, and what is left out on purpose. */
static void print_unreached(const bool reached[ROW_COUNT])
{
	unsigned n = 0;
	printf("rows that no mode reaches:");
	for (unsigned row = 0; row < ROWS_INT; row++)
		if (!reached[row] && !forms_skipped(row)) {
			printf(" %s", insn_table[row].name);
			n++;
		}
	printf("%s\n", n ? "" : " none");
	for (unsigned row = 0; row < ROWS_INT; row++)
		if (forms_skipped(row))
			printf("left out: %s: %s\n", insn_table[row].name, forms_skipped(row));
}

int main(int argc, char **argv)
{
	unsigned forms = 0, heat = 1;
	static struct oracle o;
	bool reached[ROW_COUNT] = {0};
	uint64_t states = 200000, seed = 1, replay = 0;
	const char *only = NULL;
	int mode = 0, opt;
	while ((opt = getopt(argc, argv, "n:s:m:o:t:x:")) != -1) {
		switch (opt) {
		case 'n':
			states = strtoull(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			mode = atoi(optarg);
			break;
		case 'o':
			only = optarg;
			break;
		case 't':
			heat = (unsigned)atoi(optarg);
			break;
		case 'x':
			replay = strtoull(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr, "oracle [-n STATES] [-s SEED] [-m 64|32] [-o ROW] [-t HEAT] "
				"[-x STATE]\n");
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	o.ctx = native_init();
	guest_init(&o);
	engine_translate(o.b.engine, heat);
	o.rng = seed;
	for (unsigned k = 0; k < ORACLE_DATA_SIZE; k += 8)
		*(uint64_t *)(uintptr_t)(ORACLE_DATA + k) = oracle_value(&o);
	memcpy(guest_data(&o), (void *)ORACLE_DATA, ORACLE_DATA_SIZE);
	for (o.mode = 8; o.mode >= 4; o.mode -= 4) {
		if (mode && mode != (o.mode == 8 ? 64 : 32))
			continue;
		uint64_t before = o.states;
		o.missings = 0;
		guest_mode(&o);
		forms_enumerate(&o);
		if (replay)
			run_state(&o, replay, o.form, o.forms);
		else
			run(&o, seed, states, only);
		printf("%u-bit: %llu states, %u forms, ", o.mode * 8,
			(unsigned long long)(o.states - before), o.forms);
		print_missing(&o, reached);
		forms += o.forms;
	}
	if (!mode && !only)
		print_unreached(reached);
	printf("%llu states, %llu instructions, %llu faults\n", (unsigned long long)o.states,
		(unsigned long long)o.insns_run, (unsigned long long)o.faults);
	/* A test is a form; a failure stands for a form at most. */
	printf("%u passed, %u failed\n", forms - (o.failures < forms ? o.failures : forms),
		o.failures);
	bare_done(&o.b);
	return o.failures != 0;
}
