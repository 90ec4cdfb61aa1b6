#include "l0/listen.h"

#include "base/buf.h"
#include "cpu/insn.h"
#include "cpu/mnemonic.h"
#include "ept/formats.h"
#include "l0/nested.h"
#include "l0/shadow/vcpu.h"
#include "l0/tables.h"

#include <stdlib.h>
#include <string.h>

#define NO_MODE L0_MODES

struct listen {
	bool ept, guest, mode;  /* what is listened for */
	struct tables *tables;  /* owned; NULL while nobody listens for tables */
	uint8_t seen[L0_VCPUS];             /* the mode that L1 was in */
	uint8_t seen2[NESTED_VMCS12S];      /* and each L2 */
	uint64_t seen2_at[NESTED_VMCS12S];  /* whose it is */
};

static struct listen *of(struct l0 *l)
{
	if (!l->listen)
		l->listen = xalloc(sizeof(*l->listen));
	return l->listen;
}

/* --- page tables ---------------------------------------------------------- */

void listen_ept(struct l0 *l, uint64_t eptp12)
{
	const struct tables_root root = {.format = WALK_EPT, .root = eptp12};
	if (l->listen && l->listen->ept)
		tables_use(l->listen->tables, &root);
}

/* The tables of what runs on this processor. */
static void use_space(struct l0 *l, const struct l0_vcpu *v)
{
	const struct vcpu *c = v->cpu;
	const struct nested_vcpu *nv = l->nested ? nested_of(v) : NULL;
	struct shadow_regs r = {c->cr0, c->cr3, c->cr4, c->msr.efer,
		{c->pdpte[0], c->pdpte[1], c->pdpte[2], c->pdpte[3]}};
	if (nv && shadow_on(nv))
		r = shadow_regs_of(nv, v->level);
	struct tables_root root = {.level = v->level, .vcpu = (uint8_t)c->id, .root = r.cr3,
		.format = r.efer & EFER_LMA ? WALK_4LEVEL : r.cr4 & CR4_PAE ? WALK_PAE : WALK_32BIT,
		.pse = r.cr4 & CR4_PSE, .eptp12 = v->level == 2 ? nv->eptp12 : 0};
	root.root &= ept_formats[root.format].root; /* no PCID */
	if (root.format == WALK_PAE)
		memcpy(root.pdpte, r.pdpte, sizeof(root.pdpte));
	if (r.cr0 & CR0_PG)
		tables_use(l->listen->tables, &root);
}

static void start_tables(struct l0 *l)
{
	l->listen->tables = tables_new(l);
	for (unsigned i = 0; l->listen->ept && i < EPT02_ROOTS; i++)
		if (l->nested->ept02.root[i].eptp12 != EPT02_NONE)
			listen_ept(l, l->nested->ept02.root[i].eptp12);
}

static void stop_tables(struct listen *s)
{
	tables_free(s->tables);
	s->tables = NULL;
	s->ept = s->guest = false;
}

/* --- modes ---------------------------------------------------------------- */

const char *l0_mode_name(enum l0_mode m)
{
	static const char *const names[] = {"real-address", "16-bit protected",
		"16-bit protected, paged", "32-bit protected", "32-bit protected, paged", "virtual-8086",
		"virtual-8086, paged", "16-bit compatibility", "32-bit compatibility", "64-bit"};
	_Static_assert(sizeof(names) / sizeof(*names) == L0_MODES, "a name for each");
	return m < L0_MODES ? names[m] : "unknown";
}

static enum l0_mode mode_of(const struct vcpu *c)
{
	bool paged = c->cr0 & CR0_PG, big = c->seg[SEG_CS].ar & AR_DB;
	if (!(c->cr0 & CR0_PE))
		return L0_MODE_REAL;
	if (c->msr.efer & EFER_LMA)
		return c->seg[SEG_CS].ar & AR_L ? L0_MODE_LONG :
			big ? L0_MODE_COMPAT32 : L0_MODE_COMPAT16;
	if (c->rflags & FLAG_VM)
		return L0_MODE_V86 + paged;
	return (big ? L0_MODE_PROT32 : L0_MODE_PROT16) + paged;
}

/* Where the mode of what runs is remembered: L1's by vCPU, L2's by VMCS12. */
static uint8_t *seen(struct l0 *l, const struct l0_vcpu *v)
{
	struct listen *s = l->listen;
	if (v->level != 2)
		return &s->seen[v->cpu->id];
	const struct nested_vmcs12 *m = nested_of(v)->cur;
	size_t i = (size_t)(m - l->nested->vmcs12);
	if (s->seen2_at[i] != m->at)
		s->seen2[i] = NO_MODE;
	s->seen2_at[i] = m->at;
	return &s->seen2[i];
}

static void tell_mode(struct l0 *l, const struct l0_vcpu *v)
{
	const struct vcpu *c = v->cpu;
	uint8_t *before = seen(l, v), old = *before, is = (uint8_t)mode_of(c);
	*before = is;
	if (old == is || old == NO_MODE)
		return;
	struct l0_event ev = {.kind = L0_EV_MODE, .vcpu = (uint8_t)c->id, .level = v->level,
		.at = c->seg_base[SEG_CS] + c->rip, .old = old, .new_ = is};
	l0_tell(l, &ev);
}

/* Something that decoding depends on may have changed; CR3 counts as that. */
static void on_change(void *ctx, struct vcpu *c)
{
	struct l0 *l = ctx;
	const struct l0_vcpu *v = &l->vcpu[c->id];
	if (l->listen->guest)
		use_space(l, v);
	if (l->listen->mode)
		tell_mode(l, v);
}

static void forget_modes(struct listen *s)
{
	memset(s->seen, NO_MODE, sizeof(s->seen));
	memset(s->seen2, NO_MODE, sizeof(s->seen2));
}

/* --- registers and ports ---------------------------------------------------- */

static void on_port(struct l0_event *ev, const struct vcpu *c, const struct insn *i, bool write)
{
	const struct insn_operand *o = &i->op[write ? 0 : 1];
	unsigned size = i->opsize == 8 ? 4 : i->opsize;
	bool string = i->mnemonic != ZYDIS_MNEMONIC_IN && i->mnemonic != ZYDIS_MNEMONIC_OUT;
	ev->shift = write ? L0_WRITES_PORT : L0_READS_PORT;
	ev->number = !string && o->kind == OPND_IMM ? (uint8_t)i->imm : (uint16_t)c->gpr[RDX];
	ev->old = size;
	ev->new_ = string ? 0 : c->gpr[RAX] & (size == 4 ? UINT32_MAX : (1u << 8 * size) - 1);
}

static void on_outcall(void *ctx, struct vcpu *c, const struct insn *i)
{
	struct l0 *l = ctx;
	struct l0_event ev = {.kind = L0_EV_ACCESS, .vcpu = (uint8_t)c->id,
		.level = l->vcpu[c->id].level, .at = c->rip};
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_MOV_CR:
		if (i->op[0].kind != OPND_CR)
			return;
		ev.shift = L0_WRITES_CR;
		ev.number = i->op[0].reg;
		ev.new_ = gpr_read(c, &i->op[1]);
		break;
	case ZYDIS_MNEMONIC_WRMSR:
		ev.shift = L0_WRITES_MSR;
		ev.number = (uint32_t)c->gpr[RCX];
		ev.new_ = c->gpr[RDX] << 32 | (uint32_t)c->gpr[RAX];
		break;
	case ZYDIS_MNEMONIC_IN: case ZYDIS_MNEMONIC_INSB: case ZYDIS_MNEMONIC_INSW:
	case ZYDIS_MNEMONIC_INSD:
		on_port(&ev, c, i, false);
		break;
	case ZYDIS_MNEMONIC_OUT: case ZYDIS_MNEMONIC_OUTSB: case ZYDIS_MNEMONIC_OUTSW:
	case ZYDIS_MNEMONIC_OUTSD:
		on_port(&ev, c, i, true);
		break;
	default:
		return;
	}
	l0_tell(l, &ev);
}

/* -------------------------------------------------------------------------- */

void listen_update(struct l0 *l)
{
	bool ept = l0_observed(l, L0_EV_EPT_WRITE) && l->nested;
	bool guest = l0_observed(l, L0_EV_TABLE_WRITE), mode = l0_observed(l, L0_EV_MODE);
	bool access = l0_observed(l, L0_EV_ACCESS);
	if (!l->listen && !ept && !guest && !mode && !access)
		return;
	struct listen *s = of(l);
	engine_watch_outcalls(l->engine, access ? on_outcall : NULL, l);
	if (ept != s->ept || guest != s->guest) {
		stop_tables(s);
		s->ept = ept;
		s->guest = guest;
		if (ept || guest)
			start_tables(l);
	}
	if (mode && !s->mode)
		forget_modes(s);
	s->mode = mode;
	engine_watch_mode(l->engine, mode || guest ? on_change : NULL, l);
}

void listen_restart(struct l0 *l)
{
	if (!l->listen)
		return;
	forget_modes(l->listen);
	stop_tables(l->listen); /* the next slice starts them again */
}

void listen_free(struct l0 *l)
{
	if (!l->listen)
		return;
	stop_tables(l->listen);
	free(l->listen);
}
