#include "app/demo.h"

#include <string.h>

/* guests/rules.mk says where the image is; the symbols are the linker's. */
__asm__(".section .rodata\n"
	".balign 16\n"
	".globl demo_l1, demo_l1_end\n"
	"demo_l1: .incbin \"" DEMO_L1 "\"\n"
	"demo_l1_end:\n"
	".byte 0\n"
	".previous\n");
extern const uint8_t demo_l1[], demo_l1_end[];

static const struct demo demos[] = {
#define SCENARIO(name, payload, mode, count, flags, help) \
	{#name, help, #name " end=off", demo_l1, demo_l1_end},
#include "demo_scenarios.def"
#undef SCENARIO
};

const struct demo *demo_at(unsigned n)
{
	return n < sizeof(demos) / sizeof(demos[0]) ? &demos[n] : NULL;
}

const struct demo *demo_find(const char *name)
{
	const struct demo *d;

	if (!name || !*name)
		return &demos[0];
	for (unsigned n = 0; (d = demo_at(n)); n++)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}
