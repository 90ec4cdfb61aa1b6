/* The recorded machine as a backend. */
#include "introspect/fake_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fake_free(void *ctx)
{
	struct fake *f = ctx;
	for (int i = 0; i < INTRO_VMCS_COUNT; i++)
		free(f->vmcs[i]);
	free(f->ram);
	free(f->priv);
	free(f->mark);
	buf_done(&f->console);
	free(f);
}

static void attach(void *ctx, const struct backend_sink *sink)
{
	((struct fake *)ctx)->sink = *sink;
}

static void want(void *ctx, unsigned wants)
{
	((struct fake *)ctx)->wants = wants;
}

static struct position position(void *ctx)
{
	struct fake *f = ctx;
	return (struct position){f->clock, f->ordinal};
}

static unsigned levels(void *ctx, struct intro_level *out, unsigned max)
{
	struct fake *f = ctx;
	if (max > 0)
		out[0] = (struct intro_level){.id = 1, .name = "l1", .vmcs12 = UINT64_MAX,
			.alive = true, .last_seen = f->clock, .entries = f->l2_exits,
			.exits = f->exits - f->l2_exits - f->entries};
	if (max > 1)
		out[1] = (struct intro_level){.id = 2, .name = "l2", .vmcs12 = FAKE_VMCS12,
			.eptp = FAKE_EPT12_PML4 | 0x1e, .vpid = 1, .alive = true, .first_seen = 1000,
			.last_seen = f->clock, .entries = f->entries, .exits = f->l2_exits};
	return max < 2 ? max : 2;
}

static unsigned vcpus(void *ctx)
{
	(void)ctx;
	return 1;
}

static bool vcpu(void *ctx, unsigned id, struct intro_vcpu *out)
{
	struct fake *f = ctx;
	*out = (struct intro_vcpu){.id = id, .level = f->level,
		.vmx = f->level == 2 ? INTRO_VMX_NONROOT : INTRO_VMX_ROOT, .vmcs12 = FAKE_VMCS12,
		.activity = "active", .mode = "64-bit", .cpl = f->level == 2 ? 3 : 0,
		.retired = f->retired};
	return true;
}

static enum intro_state place_state(void *ctx, struct place at)
{
	struct fake *f = ctx;
	if (at.vcpu || at.level > 2)
		return PLACE_NONE;
	return at.level == f->level ? PLACE_RUNNING : PLACE_SAVED;
}

static bool reg_get(void *ctx, struct place at, enum reg_id id, struct reg_value *out)
{
	struct fake *f = ctx;
	enum reg_group g = reg_info(id)->group;
	if (at.level != f->level && (g == REG_GROUP_X87 || g == REG_GROUP_SSE || g == REG_GROUP_AVX))
		return false;
	switch (id) {
	case R_EXIT_REASON: case R_EXIT_QUALIFICATION: case R_EPTP: {
		uint64_t v = *fake_field(f, INTRO_VMCS12, id == R_EXIT_REASON ? "VM_EXIT_REASON" :
			id == R_EPTP ? "EPT_POINTER" : "EXIT_QUALIFICATION");
		memcpy(out->bytes, &v, 8);
		return out->available = true;
	}
	default:
		if (!f->reg[at.level][id].available)
			return false;
		*out = f->reg[at.level][id];
		return true;
	}
}

static bool reg_set(void *ctx, struct place at, enum reg_id id, const void *bytes, size_t len,
	struct err *e)
{
	struct fake *f = ctx;
	(void)e;
	memcpy(f->reg[at.level][id].bytes, bytes, len < 16 ? len : 16);
	if (at.level == 2 && id == R_RIP)
		*fake_field(f, INTRO_VMCS12, "GUEST_RIP") = fake_get(f, 2, R_RIP);
	f->inputs++;
	return true;
}

static uint8_t *backing(struct fake *f, uint64_t at, size_t len)
{
	if (at < FAKE_RAM && len <= FAKE_RAM - at)
		return f->ram + at;
	if (at >= PHYS_PRIVATE && at - PHYS_PRIVATE < FAKE_PRIVATE &&
		len <= FAKE_PRIVATE - (at - PHYS_PRIVATE))
		return f->priv + (at - PHYS_PRIVATE);
	return NULL;
}

static enum intro_mem_status host_read(void *ctx, struct hpa at, void *out, size_t len)
{
	const uint8_t *p = backing(ctx, at.v, len);
	if (!p)
		return at.v >= 0xfec00000 && at.v < 0xfef00000 ? MEM_DEVICE : MEM_NOTHING;
	memcpy(out, p, len);
	return MEM_OK;
}

static enum intro_mem_status host_write(void *ctx, struct hpa at, const void *in, size_t len)
{
	struct fake *f = ctx;
	uint8_t *p = backing(f, at.v, len);
	if (!p)
		return at.v >= 0xfec00000 && at.v < 0xfef00000 ? MEM_DEVICE : MEM_NOTHING;
	memcpy(p, in, len);
	f->inputs++;
	return MEM_OK;
}

static bool root(void *ctx, struct place at, enum walk_table table, struct walk_root *out)
{
	struct fake *f = ctx;
	*out = (struct walk_root){.format = WALK_EPT, .phys_bits = 39, .page1g = true};
	switch (table) {
	case TABLE_GUEST:
		*out = (struct walk_root){.format = WALK_4LEVEL, .root = fake_get(f, at.level, R_CR3),
			.phys_bits = 39, .page1g = true, .wp = true, .nxe = true};
		return true;
	case TABLE_EPT01:
		out->root = (PHYS_PRIVATE + 0x1000) | 0x1e;
		out->phys_bits = 46;
		return true;
	case TABLE_EPT12:
		out->root = *fake_field(f, INTRO_VMCS12, "EPT_POINTER");
		return at.level == 2;
	case TABLE_SHADOW:
		return false;
	default:
		out->root = (PHYS_PRIVATE + 0x4000) | 0x1e;
		out->phys_bits = 46;
		return at.level == 2;
	}
}

static bool vmcs_region(void *ctx, struct place at, enum intro_vmcs which, uint64_t *out)
{
	static const uint64_t where[INTRO_VMCS_COUNT] = {
		PHYS_PRIVATE + 0xa000, FAKE_VMCS12, PHYS_PRIVATE + 0xb000, PHYS_PRIVATE + 0xc000};
	(void)ctx;
	*out = where[which];
	return at.vcpu == 0;
}

static bool vmcs_get(void *ctx, struct place at, enum intro_vmcs which, uint32_t encoding,
	struct intro_vmcs_value *out)
{
	struct fake *f = ctx;
	const struct intro_field *field = intro_field_by_encoding(encoding);
	(void)at;
	*out = (struct intro_vmcs_value){.value = f->vmcs[which][field - intro_field_at(0)],
		.live = which == INTRO_VMCS02 && f->level == 2, .as_of = f->reflected_at};
	if (out->live && !strcmp(field->name, "GUEST_RIP"))
		out->value = fake_get(f, 2, R_RIP);
	return true;
}

static bool vmcs_set(void *ctx, struct place at, uint32_t encoding, uint64_t value, struct err *e)
{
	struct fake *f = ctx;
	(void)at;
	(void)e;
	fake_vmwrite(f, intro_field_by_encoding(encoding)->name, value);
	f->write[(f->writes - 1) % FAKE_WRITES].writer = WRITER_DEBUGGER;
	f->inputs++;
	return true;
}

static bool write_at(void *ctx, size_t i, struct intro_vmcs_write *out)
{
	struct fake *f = ctx;
	if (i >= f->writes || i >= FAKE_WRITES)
		return false;
	*out = f->write[(f->writes - 1 - i) % FAKE_WRITES];
	return true;
}

static bool writer(void *ctx, struct place at, uint32_t encoding, struct intro_vmcs_write *out)
{
	(void)at;
	for (size_t i = 0; write_at(ctx, i, out); i++)
		if (out->encoding == encoding)
			return true;
	return false;
}

static bool origin(void *ctx, struct place at, uint32_t encoding, struct intro_vmcs_origin *out)
{
	struct fake *f = ctx;
	const struct intro_field *field = intro_field_by_encoding(encoding);
	size_t i = (size_t)(field - intro_field_at(0));
	uint64_t all = field->size == 8 ? ~UINT64_C(0) : BIT(8 * field->size) - 1;
	uint64_t l0 = f->vmcs[INTRO_VMCS02][i] & ~f->vmcs[INTRO_VMCS12][i];
	(void)at;
	*out = (struct intro_vmcs_origin){.from_l1 = all & ~l0, .from_l0 = l0,
		.rule = l0 ? "bits that L1 or L0 wants" : "as L1 wrote it",
		.shadowed_read = field->group != FIELD_HOST && field->group != FIELD_CONTROL,
		.shadowed_write = field->group == FIELD_GUEST};
	if (field->group == FIELD_HOST)
		*out = (struct intro_vmcs_origin){.from_l0 = all, .rule = "L0's own host state"};
	if (!strcmp(field->name, "EPT_POINTER"))
		*out = (struct intro_vmcs_origin){.computed = all, .rule = "the root of EPT02"};
	return true;
}

static void exits_range(void *ctx, uint64_t *first, uint64_t *end)
{
	struct fake *f = ctx;
	*end = f->exits;
	*first = f->exits > FAKE_RECORDS ? f->exits - FAKE_RECORDS : 0;
}

static bool exit_at(void *ctx, uint64_t seq, struct exit_record *out)
{
	struct fake *f = ctx;
	if (seq >= f->exits || f->exits - seq > FAKE_RECORDS)
		return false;
	*out = f->ring[seq % FAKE_RECORDS];
	return true;
}

static bool exit_gprs(void *ctx, uint64_t seq, uint64_t gpr[16])
{
	static const enum reg_id order[16] = {R_RAX, R_RCX, R_RDX, R_RBX, R_RSP, R_RBP, R_RSI, R_RDI,
		R_R8, R_R9, R_R10, R_R11, R_R12, R_R13, R_R14, R_R15};
	struct fake *f = ctx;
	struct exit_record r;
	if (!exit_at(ctx, seq, &r) || f->exits - seq > 64)
		return false;
	for (int i = 0; i < 16; i++)
		gpr[i] = fake_get(f, r.from, order[i]);
	return true;
}

/* --- running ------------------------------------------------------------------------ */

static bool marked(const struct fake *f, uint64_t rip)
{
	for (unsigned i = 0; i < f->marks; i++)
		if (f->mark[i] == rip)
			return true;
	return false;
}

static void run(void *ctx, uint64_t budget, int step_vcpu, struct backend_ran *out)
{
	struct fake *f = ctx;
	uint64_t start = f->retired;
	*out = (struct backend_ran){.leave = BACKEND_SLICE};
	f->asked = false;
	while (f->retired - start < budget) {
		if (!f->over_mark && f->marks && marked(f, fake_get(f, f->level, R_RIP))) {
			out->leave = BACKEND_MARK;
			out->address = fake_get(f, f->level, R_RIP);
			break;
		}
		f->over_mark = false;
		f->hit = NULL;
		f->hits = 0;
		fake_step(f);
		if (f->asked) {
			out->leave = BACKEND_ASKED;
			break;
		}
		if (f->hit) {
			out->leave = BACKEND_WATCH;
			memcpy(out->watch, f->hit_id, sizeof f->hit_id);
			out->watches = f->hits;
			out->address = f->hit_at;
			out->size = f->hit_size;
			out->write = f->hit_write;
			break;
		}
		if (step_vcpu >= 0 && f->retired != start)
			break;
	}
	out->executed = f->retired - start;
}

static void step_over_mark(void *ctx, unsigned id)
{
	(void)id;
	((struct fake *)ctx)->over_mark = true;
}

static void mark(void *ctx, uint64_t linear, bool on)
{
	struct fake *f = ctx;
	if (on) {
		f->mark = xresize(f->mark, (f->marks + 1) * sizeof *f->mark);
		f->mark[f->marks++] = linear;
		return;
	}
	for (unsigned i = 0; i < f->marks; i++)
		if (f->mark[i] == linear)
			f->mark[i--] = f->mark[--f->marks];
}

static unsigned watch_add(void *ctx, const struct backend_watch *w)
{
	struct fake *f = ctx;
	for (unsigned i = 0; i < FAKE_WATCHES; i++) {
		if (f->watch[i].id)
			continue;
		f->watch[i] = (struct fake_watch){++f->next_watch, *w};
		return f->next_watch;
	}
	return 0;
}

static void watch_del(void *ctx, unsigned id)
{
	struct fake *f = ctx;
	for (unsigned i = 0; i < FAKE_WATCHES; i++)
		if (f->watch[i].id == id)
			f->watch[i].id = 0;
}

/* --- the machine -------------------------------------------------------------------- */

static bool type(void *ctx, unsigned port, const void *bytes, size_t len, struct err *e)
{
	struct fake *f = ctx;
	if (port)
		return err_set(e, ERR_GENERAL, "there is no COM%u; COM1 is port 0", port + 1);
	buf_add(&f->console, bytes, len); /* the guest echoes */
	f->inputs++;
	return true;
}

static size_t console_read(void *ctx, unsigned port, uint64_t *from, struct buf *out)
{
	struct fake *f = ctx;
	size_t n = *from < f->console.len ? f->console.len - (size_t)*from : 0;
	if (port)
		return 0;
	buf_add(out, f->console.data + f->console.len - n, n);
	*from = f->console.len;
	return n;
}

static size_t devices(void *ctx, struct intro_device *out, size_t max)
{
	static const struct intro_device all[] = {{"local APIC", "mmio", 0xfee00000, 0x1000},
		{"I/O APIC", "mmio", 0xfec00000, 0x1000}, {"COM1", "port", 0x3f8, 8},
		{"debug exit", "port", 0xf4, 4}};
	(void)ctx;
	size_t n = max < 4 ? max : 4;
	memcpy(out, all, n * sizeof *out);
	return n;
}

static size_t ranges(void *ctx, struct intro_memory_range *out, size_t max)
{
	static const struct intro_memory_range all[] = {
		{"ram", "RAM", 0, FAKE_RAM}, {"l0", "private", PHYS_PRIVATE, FAKE_PRIVATE}};
	(void)ctx;
	size_t n = max < 2 ? max : 2;
	memcpy(out, all, n * sizeof *out);
	return n;
}

static void cpu_info(void *ctx, struct buf *out)
{
	(void)ctx;
	buf_str(out, "model: recorded\nphysical bits: 39\n");
}

static bool hash(void *ctx, struct state_hash *out, struct err *e)
{
	struct fake *f = ctx;
	struct state *s = state_hasher();
	(void)e;
	state_bytes(s, f->ram, FAKE_RAM);
	state_bytes(s, f->reg, sizeof f->reg);
	state_u64(s, &f->clock);
	state_u64(s, &f->inputs);
	*out = state_digest(s);
	state_free(s);
	return true;
}

static void finding(struct fake *f, struct autopsy *a, const char *check, const char *section,
	const char *rule, const char *field, uint64_t value, uint64_t bad, const char *legal)
{
	struct autopsy_finding *x = &a->finding[a->findings++];
	*x = (struct autopsy_finding){.check = check, .section = section, .rule = rule, .fields = 1,
		.bad_bits = bad};
	x->field[0] = (struct autopsy_field){intro_field_find(field)->encoding, value, true,
		{.at = {90000, 0}, .encoding = intro_field_find(field)->encoding,
			.writer = WRITER_VMWRITE, .vmcs12 = FAKE_VMCS12,
			.rip = FAKE_L1_CODE + 0x39, .cr3 = fake_get(f, 1, R_CR3), .value = value}};
	snprintf(x->legal, sizeof x->legal, "%s", legal);
}

static bool autopsy(void *ctx, struct place at, bool live, struct autopsy *out, struct err *e)
{
	struct fake *f = ctx;
	(void)e;
	memset(out, 0, sizeof *out);
	*out = (struct autopsy){.kind = live ? AUTOPSY_CLEAN : AUTOPSY_VMFAIL, .at = {1, at.vcpu},
		.position = {100000, 0}, .vmcs12 = FAKE_VMCS12, .instruction = "VMLAUNCH",
		.rip = FAKE_L1_CODE, .cr3 = fake_get(f, 1, R_CR3), .live = live};
	if (live)
		return true;
	out->error = 8;
	out->error_text = vm_instruction_error_text(8);
	finding(f, out, "HOST_CS_NOT_NULL", "26.2.3 \"Checks on Host Segment and Descriptor-Table Registers\"",
		"The selector field for CS must not be 0000H.", "HOST_CS_SELECTOR", 0, 0xffff,
		"a selector of a code segment, e.g. 0x8");
	finding(f, out, "HOST_CR4_FIXED", "26.2.2 \"Checks on Host Control Registers, MSRs, and SSP\"",
		"CR4 must have the bits that are fixed in VMX operation.", "HOST_CR4", 0x20, 0x2000,
		"bit 13 (VMXE) is 1");
	out->finding[1].has_legal = true;
	out->finding[1].must_be_1 = 0x2000;
	out->finding[1].may_be_1 = 0x3727ff;
	out->finding[1].msr = 0x488;
	return true;
}

static bool caps(void *ctx, const char *model, cap_fn *fn, void *fn_ctx, struct err *e)
{
	static const struct cap_row rows[] = {
		{.group = "IA32_VMX_PROCBASED_CTLS2", .msr = 0x48b, .value = UINT64_C(0xff) << 32, .bit = -1},
		{.group = "IA32_VMX_PROCBASED_CTLS2", .name = "enable EPT", .msr = 0x48b, .bit = 1,
			.may_be_1 = true, .key = "cap.ept"},
		{.group = "IA32_VMX_PROCBASED_CTLS2", .name = "VMCS shadowing", .msr = 0x48b, .bit = 14,
			.key = "cap.vmcs-shadowing"}};
	(void)ctx;
	if (model)
		return err_set(e, ERR_GENERAL, "no CPU model '%s'", model);
	for (size_t i = 0; i < 3 && fn(fn_ctx, &rows[i]); i++)
		;
	return true;
}

const struct intro_backend_ops fake_ops = {.name = "recorded",
	.supports = WANT_TRANSITIONS | WANT_VMWRITE | WANT_ACCESS, .free = fake_free, .attach = attach,
	.want = want, .position = position, .levels = levels, .vcpus = vcpus, .vcpu = vcpu,
	.place_state = place_state, .reg_get = reg_get, .reg_set = reg_set, .host_read = host_read,
	.host_write = host_write, .root = root, .vmcs_region = vmcs_region, .vmcs_get = vmcs_get,
	.vmcs_set = vmcs_set, .vmcs_writer = writer, .vmcs_write_at = write_at,
	.vmcs_origin = origin, .exits_range = exits_range, .exit_at = exit_at,
	.exit_gprs = exit_gprs, .autopsy = autopsy, .caps = caps, .run = run,
	.step_over_mark = step_over_mark, .mark = mark, .watch_add = watch_add,
	.watch_del = watch_del, .type = type, .console_read = console_read, .devices = devices,
	.memory_ranges = ranges, .cpu_info = cpu_info, .hash = hash};
