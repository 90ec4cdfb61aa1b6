/* The command line, the run, and what came of it. */
#include "l1.h"

#define SCENARIO(n, payload, m, c, f, h) extern const uint8_t l2_##payload[], l2_##payload##_end[];
#include "scenarios.def"
#undef SCENARIO

static const struct scenario scenarios[] = {
#define SCENARIO(n, payload, m, c, f, h) {#n, l2_##payload, l2_##payload##_end, m, c, f, h},
#include "scenarios.def"
#undef SCENARIO
};

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
};

/* The rest of s after `word` when s starts with it and a separator or '='. */
static const char *starts(const char *s, const char *word)
{
	while (*word && *s == *word)
		s++, word++;
	return *word ? NULL : s;
}

static bool word_is(const char *s, const char *word)
{
	s = starts(s, word);
	return s && (*s == 0 || *s == ' ');
}

static uint32_t number(const char *s)
{
	uint32_t v = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (uint32_t)(*s - '0');
	return v;
}

static void take_word(struct l1 *l1, const char *s)
{
	const char *value;

	for (unsigned n = 0; n < sizeof(scenarios) / sizeof(scenarios[0]); n++)
		if (word_is(s, scenarios[n].name))
			l1->scenario = &scenarios[n];
	if ((value = starts(s, "count=")))
		l1->count = number(value);
	if (word_is(s, "noept"))
		l1->ept = false;
	if (word_is(s, "quiet"))
		l1->quiet = true;
	if (word_is(s, "end=off"))
		l1->power_off = true;
}

static void parse(struct l1 *l1, const char *line)
{
	while (*line) {
		take_word(l1, line);
		while (*line && *line != ' ')
			line++;
		while (*line == ' ')
			line++;
	}
	if (!l1->count)
		l1->count = l1->scenario->count;
}

/* Flat segments for payloads that reload them: 08 32-bit code, 10 data, 18 64-bit code. */
static const uint64_t l2_gdt[4] = {
	0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff};

/* As a boot loader would: the payload, its parameter, a GDT, identity tables. */
static void load(struct l1 *l1, struct guest *g)
{
	const uint8_t *from = l1->scenario->start;
	uint64_t *table = (uint64_t *)(g->mem + L2_CR3);

	for (uint8_t *to = (uint8_t *)(g->mem + L2_ENTRY); from < l1->scenario->end; from++, to++)
		*to = *from;
	*(uint32_t *)(g->mem + L2_PARAM) = l1->count;
	for (unsigned n = 0; n < 4; n++)
		((uint64_t *)(g->mem + L2_GDT))[n] = l2_gdt[n];
	table[0] = (L2_CR3 + 0x1000) | 7; /* PML4, PDPT, then 2 MiB pages */
	table[512] = (L2_CR3 + 0x2000) | 7;
	table[1024] = 0x000000 | 0x87;
	table[1025] = 0x200000 | 0x87;
}

/* Fields that a curious hypervisor looks at on every exit. */
static void read_many(struct l1 *l1)
{
	for (unsigned n = 0; n < 8; n++) {
		l1->field_sum += vmread(GUEST_ES_SELECTOR + 2 * n);
		l1->field_sum += vmread(GUEST_ES_BASE + 2 * n);
		l1->field_sum += vmread(GUEST_ES_LIMIT + 2 * n);
		l1->field_sum += vmread(GUEST_ES_ACCESS_RIGHTS + 2 * n);
	}
	for (uint64_t f = GUEST_CR0; f <= GUEST_CR4; f += 2)
		l1->field_sum += vmread(f);
	for (uint64_t f = GUEST_GDTR_BASE; f <= GUEST_PENDING_DEBUG; f += 2)
		l1->field_sum += vmread(f);
	for (uint64_t f = EXIT_REASON; f <= EXIT_INSTRUCTION_INFO; f += 2)
		l1->field_sum += vmread(f);
	l1->field_sum += vmread(EXIT_QUALIFICATION);
}

static void entry_failed(struct l1 *l1, int how)
{
	if (how == 1)
		print("L1: VM entry: VMfailInvalid\n");
	else
		print("L1: VM entry failed: instruction error %lu\n", vmread(VM_INSTRUCTION_ERROR));
	finish(l1, 0x20);
}

static void exit_unknown(struct l1 *l1)
{
	uint32_t reason = (uint32_t)vmread(EXIT_REASON);

	if (reason & REASON_FAILED) {
		print("L1: VM entry failed: reason %u (%s), qualification %lu\n", reason & 0xffff,
			exit_name(reason), vmread(EXIT_QUALIFICATION));
		finish(l1, 0x21);
	}
	print("L1: unexpected exit %u (%s), qualification %lx, info %lx, L2 at %lx\n", reason,
		exit_name(reason), vmread(EXIT_QUALIFICATION), vmread(EXIT_INTR_INFO),
		vmread(GUEST_RIP));
	finish(l1, 0x22);
}

/* Until every guest has reported: guests take turns exit by exit. */
static void run(struct l1 *l1)
{
	unsigned left = l1->guests, turn = 0;
	bool many = l1->scenario->flags & READS_MANY;

	while (left) {
		struct guest *g = &l1->guest[turn];
		int how;

		if (l1->guests > 1) {
			turn = !turn;
			if (g->done)
				continue;
			vmx_select(g);
		}
		how = vmx_enter(&g->regs, g->launched);
		if (how)
			entry_failed(l1, how);
		if (many)
			read_many(l1);
		if (!exit_handle(l1, g))
			exit_unknown(l1);
		g->launched = true;
		left -= g->done;
	}
}

static void report(struct l1 *l1, uint64_t ticks)
{
	uint64_t total = 0;

	for (unsigned n = 0; n < l1->guests; n++) {
		struct guest *g = &l1->guest[n];

		print("L1: L2 reports status %u, sum %x; exits:", g->status, g->sum);
		for (uint32_t reason = 0; reason < 72; reason++)
			if (g->exits[reason])
				print(" %s %lu", exit_name(reason), g->exits[reason]);
		print("\n");
		for (uint32_t reason = 0; reason < 72; reason++)
			total += g->exits[reason];
	}
	if (l1->scenario->flags & INTERRUPTS)
		print("L1: %u timer ticks\n", timer_ticks);
	print("L1: %lu exits, %lu cycles each\n", total, total ? ticks / total : 0);
}

void l1_main(uint32_t magic, const struct multiboot_info *info);

void l1_main(uint32_t magic, const struct multiboot_info *info)
{
	static struct l1 l1 = {.scenario = &scenarios[0], .ept = DEFAULT_EPT, .guests = 1};
	uint32_t status = 0;
	uint64_t began;

	print_init();
	trap_init();
	if (magic == 0x2badb002 && info->flags & 4)
		parse(&l1, (const char *)(uint64_t)info->cmdline);
	else
		parse(&l1, "");
	if (!vmx_start(&l1))
		finish(&l1, 0x10);
	print("L1: %s: %s; %u rounds, %s\n", l1.scenario->name, l1.scenario->help, l1.count,
		l1.ept ? "EPT" : "no EPT");
	if (!l1.ept && l1.scenario->flags & NEEDS_EPT) {
		print("L1: %s needs EPT\n", l1.scenario->name);
		finish(&l1, 0x11);
	}
	if (l1.scenario->flags & TWO_GUESTS)
		l1.guests = 2;
	for (unsigned n = 0; n < l1.guests; n++) {
		l1.guest[n].mem = L2_BASE + n * L2_SIZE;
		load(&l1, &l1.guest[n]);
		(l1.ept ? ept_build : shadow_build)(&l1.guest[n]);
		if (!vmx_setup(&l1, &l1.guest[n]))
			finish(&l1, 0x12);
	}
	if (l1.scenario->flags & INTERRUPTS)
		timer_start(50000);
	began = rdtsc();
	run(&l1);
	report(&l1, rdtsc() - began);
	for (unsigned n = 0; n < l1.guests; n++)
		status |= l1.guest[n].status;
	finish(&l1, status);
}
