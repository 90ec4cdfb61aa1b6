/* The recorded machine's script: one instruction at a time of the loop that
 * fake_tables.c laid out, with the exits and VMCS traffic that it causes. */
#include "introspect/fake_machine.h"

#include <string.h>

enum { EXIT_CPUID = 10, EXIT_VMREAD = 23, EXIT_VMWRITE = 25, EXIT_IO = 30 };

uint64_t fake_get(const struct fake *f, unsigned level, enum reg_id id)
{
	uint64_t v = 0;
	memcpy(&v, f->reg[level][id].bytes, 8);
	return v;
}

void fake_put(struct fake *f, unsigned level, enum reg_id id, uint64_t v)
{
	struct reg_value *r = &f->reg[level][id];
	r->size = (uint8_t)((reg_info(id)->bits + 7) / 8);
	r->available = true;
	memcpy(r->bytes, &v, r->size < 8 ? r->size : 8);
}

/* The script names the same few fields at every step. */
static const struct intro_field *named(struct fake *f, const char *name)
{
	size_t i = ((uintptr_t)name ^ (uintptr_t)name >> 8) % (sizeof f->named / sizeof *f->named);
	if (f->named[i].name != name) {
		f->named[i].name = name;
		f->named[i].field = intro_field_find(name);
	}
	return f->named[i].field;
}

uint64_t *fake_field(struct fake *f, enum intro_vmcs which, const char *name)
{
	return &f->vmcs[which][named(f, name) - intro_field_at(0)];
}

struct exit_record *fake_record(struct fake *f, struct exit_record r)
{
	struct exit_record *slot = &f->ring[f->exits % FAKE_RECORDS];
	r.seq = f->exits++;
	r.at = (struct position){f->clock, f->ordinal++};
	r.vmcs12 = FAKE_VMCS12;
	*slot = r;
	if ((f->wants & WANT_TRANSITIONS) && f->sink.transition(f->sink.ctx, slot))
		f->asked = true;
	return slot;
}

void fake_vmwrite(struct fake *f, const char *name, uint64_t value)
{
	struct intro_vmcs_write *w = &f->write[f->writes++ % FAKE_WRITES];
	uint64_t *field = fake_field(f, INTRO_VMCS12, name);
	*w = (struct intro_vmcs_write){.at = {f->clock, f->ordinal},
		.encoding = named(f, name)->encoding, .writer = WRITER_VMWRITE,
		.vmcs12 = FAKE_VMCS12, .rip = fake_get(f, 1, R_RIP), .cr3 = fake_get(f, 1, R_CR3),
		.old_value = *field, .value = value};
	*field = value;
	*fake_field(f, INTRO_VMCS_SHADOW, name) = value;
	if ((f->wants & WANT_VMWRITE) && f->sink.vmwrite(f->sink.ctx, w))
		f->asked = true;
}

/* L2's state goes to VMCS12 and VMCS02, L1 goes on at HOST_RIP. */
void fake_exit_to_l1(struct fake *f, uint32_t reason, uint64_t detail, uint64_t qualification)
{
	static const struct {
		enum reg_id reg;
		const char *field;
	} saved[] = {{R_RIP, "GUEST_RIP"}, {R_RSP, "GUEST_RSP"}, {R_EFLAGS, "GUEST_RFLAGS"},
		{R_CR3, "GUEST_CR3"}};
	for (size_t i = 0; i < 4; i++) {
		uint64_t v = fake_get(f, 2, saved[i].reg);
		*fake_field(f, INTRO_VMCS12, saved[i].field) = v;
		*fake_field(f, INTRO_VMCS02, saved[i].field) = v;
		*fake_field(f, INTRO_VMCS_SHADOW, saved[i].field) = v;
	}
	for (int v = INTRO_VMCS12; v < INTRO_VMCS_COUNT; v++) {
		*fake_field(f, v, "VM_EXIT_REASON") = reason;
		*fake_field(f, v, "EXIT_QUALIFICATION") = qualification;
		*fake_field(f, v, "VM_EXIT_INSTRUCTION_LEN") = 2;
	}
	f->level = 1;
	f->l2_exits++;
	f->reflected = f->exits;
	f->reflected_at = f->clock;
	fake_put(f, 1, R_RIP, *fake_field(f, INTRO_VMCS12, "HOST_RIP"));
	fake_record(f, (struct exit_record){.kind = EXIT_REFLECT, .from = 2, .to = 1, .handler = 1,
		.reason = reason, .qualification = qualification, .rip = fake_get(f, 2, R_RIP),
		.cr3 = fake_get(f, 2, R_CR3), .detail = detail, .gpa = UINT64_MAX,
		.gla = UINT64_MAX, .insn_length = 2, .cause = UINT64_MAX, .model_cost = 2400});
}

void fake_resume(struct fake *f)
{
	uint64_t rip = fake_get(f, 1, R_RIP);
	struct exit_record *open = &f->ring[f->reflected % FAKE_RECORDS];
	if (f->reflected != UINT64_MAX)
		open->cost = f->clock - f->reflected_at;
	f->level = 2;
	f->entries++;
	fake_put(f, 2, R_RIP, *fake_field(f, INTRO_VMCS12, "GUEST_RIP"));
	fake_record(f, (struct exit_record){.kind = EXIT_ENTRY, .from = 1, .to = 2, .handler = 0,
		.reason = 0xffff, .rip = rip, .cr3 = fake_get(f, 1, R_CR3), .detail = UINT64_MAX,
		.gpa = UINT64_MAX, .gla = UINT64_MAX, .cause = f->reflected, .insn_length = 3});
	f->reflected = UINT64_MAX;
}

static void l1_exits(struct fake *f, uint32_t reason, uint64_t field)
{
	fake_record(f, (struct exit_record){.kind = EXIT_EXIT, .from = 1, .to = 0, .handler = 0,
		.reason = reason, .rip = fake_get(f, 1, R_RIP), .cr3 = fake_get(f, 1, R_CR3),
		.detail = field, .gpa = UINT64_MAX, .gla = UINT64_MAX, .insn_length = 3,
		.cause = f->reflected, .model_cost = 1200});
}

/* Addresses that the script touches, to RAM. */
static uint8_t *at(struct fake *f, uint64_t linear)
{
	if (f->level == 1)
		return f->ram + FAKE_L1_CODE_PA + (linear & 0x1fffff);
	return f->ram + FAKE_L2_RAM_PA + (linear >= FAKE_L2_DATA + 0x1000 ? 0x8000 : 0x7000) +
		(linear & 0xfff);
}

static void touch(struct fake *f, uint64_t linear, unsigned size, bool write)
{
	for (unsigned i = 0; i < FAKE_WATCHES; i++) {
		struct fake_watch *w = &f->watch[i];
		uint64_t where = w->w.physical ? (uint64_t)(at(f, linear) - f->ram) : linear;
		if (!w->id || where + size <= w->w.address || where >= w->w.address + w->w.len ||
			!(write ? w->w.write : w->w.read))
			continue;
		if (f->hits < 8)
			f->hit_id[f->hits++] = w->id;
		if (f->hit)
			continue;
		f->hit = w;
		f->hit_at = where;
		f->hit_size = size;
		f->hit_write = write;
	}
}

static void push(struct fake *f, uint64_t v)
{
	uint64_t sp = fake_get(f, f->level, R_RSP) - 8;
	fake_put(f, f->level, R_RSP, sp);
	memcpy(at(f, sp), &v, 8);
	touch(f, sp, 8, true);
}

static uint64_t pop(struct fake *f)
{
	uint64_t v, sp = fake_get(f, f->level, R_RSP);
	memcpy(&v, at(f, sp), 8);
	fake_put(f, f->level, R_RSP, sp + 8);
	touch(f, sp, 8, false);
	return v;
}

/* Opcodes that both levels use; returns the next rip, 0 when it is another. */
static uint64_t common(struct fake *f, const uint8_t *code, uint64_t rip)
{
	unsigned l = f->level;
	int32_t rel;
	switch (code[0]) {
	case 0x55:
		push(f, fake_get(f, l, R_RBP));
		return rip + 1;
	case 0x48: /* mov rbp, rsp */
		fake_put(f, l, R_RBP, fake_get(f, l, R_RSP));
		return rip + 3;
	case 0x5d:
		fake_put(f, l, R_RBP, pop(f));
		return rip + 1;
	case 0xc3:
		return pop(f);
	case 0xeb:
		return rip + 2 + (uint64_t)(int8_t)code[1];
	case 0xe8:
		memcpy(&rel, code + 1, 4);
		push(f, rip + 5);
		return rip + 5 + (uint64_t)(int64_t)rel;
	case 0xb8:
		memcpy(&rel, code + 1, 4);
		fake_put(f, l, R_RAX, (uint32_t)rel);
		return rip + 5;
	default:
		return 0;
	}
}

static void step_l1(struct fake *f, const uint8_t *code, uint64_t rip)
{
	uint64_t resume = *fake_field(f, INTRO_VMCS12, "GUEST_RIP");
	uint64_t len = *fake_field(f, INTRO_VMCS12, "VM_EXIT_INSTRUCTION_LEN");
	if (code[1] == 0x01) { /* vmresume */
		fake_put(f, 1, R_RIP, rip);
		fake_resume(f);
		return;
	}
	if (code[1] == 0x78) { /* vmread rbx, rax */
		l1_exits(f, EXIT_VMREAD, 0x4402);
		fake_put(f, 1, R_RBX, *fake_field(f, INTRO_VMCS12, "VM_EXIT_REASON"));
	} else { /* vmwrite: the handler skips L2's instruction */
		l1_exits(f, EXIT_VMWRITE, 0x681e);
		fake_vmwrite(f, "GUEST_RIP", resume + len);
	}
	fake_put(f, 1, R_RIP, rip + 3);
}

static void step_l2(struct fake *f, const uint8_t *code, uint64_t rip)
{
	uint32_t ebx = (uint32_t)fake_get(f, 2, R_RBX);
	switch (code[0]) {
	case 0x31:
		fake_put(f, 2, R_RAX, 0);
		fake_put(f, 2, R_RIP, rip + 2);
		break;
	case 0xff:
		fake_put(f, 2, R_RBX, ebx + 1);
		fake_put(f, 2, R_RIP, rip + 2);
		break;
	case 0x89:
		memcpy(at(f, FAKE_L2_DATA), &ebx, 4);
		touch(f, FAKE_L2_DATA, 4, true);
		fake_put(f, 2, R_RIP, rip + 6);
		break;
	case 0x0f:
		fake_exit_to_l1(f, EXIT_CPUID, fake_get(f, 2, R_RAX), 0);
		break;
	default: /* out 0x80, al */
		fake_exit_to_l1(f, EXIT_IO, 0x80, UINT64_C(0x80) << 16 | 1u << 6);
	}
}

void fake_step(struct fake *f)
{
	unsigned level = f->level;
	uint64_t rip = fake_get(f, level, R_RIP), next;
	const uint8_t *code = level == 1 ? f->ram + FAKE_L1_CODE_PA + (rip & 0xfff) :
		f->ram + FAKE_L2_RAM_PA + 0x6000 + (rip & 0xfff);
	uint64_t exits = f->l2_exits;
	next = common(f, code, rip);
	if (next)
		fake_put(f, level, R_RIP, next);
	else if (level == 1)
		step_l1(f, code, rip);
	else
		step_l2(f, code, rip);
	if (f->l2_exits == exits) { /* an instruction that exits does not retire */
		f->clock++;
		f->retired++;
		f->ordinal = 0;
	}
}
