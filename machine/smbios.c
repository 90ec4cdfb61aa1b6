/* DMTF DSP0134, 5.2.1 "SMBIOS 2.1 Entry Point", 7 "Structure definitions". */
#include "machine/smbios.h"

#include "base/buf.h"

#include <assert.h>
#include <string.h>

#define ENTRY_SIZE 32

struct table {
	struct buf b;
	unsigned count;
	size_t largest, start;
};

static void le(struct table *t, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		buf_char(&t->b, (char)(v >> 8 * i));
}

static void begin(struct table *t, uint8_t type, uint16_t handle)
{
	t->start = t->b.len;
	le(t, 1, type);
	le(t, 1, 0);
	le(t, 2, handle);
}

/* Ends a structure with its strings, a list that NULL ends. */
static void end(struct table *t, const char *const *string)
{
	t->b.data[t->start + 1] = (char)(t->b.len - t->start);
	if (!*string)
		le(t, 1, 0);
	for (; *string; string++)
		buf_add(&t->b, *string, strlen(*string) + 1);
	le(t, 1, 0);
	if (t->b.len - t->start > t->largest)
		t->largest = t->b.len - t->start;
	t->count++;
}

static void bios(struct table *t)
{
	begin(t, 0, 0);
	le(t, 1, 1);
	le(t, 1, 2);
	le(t, 2, 0xf000);
	le(t, 1, 3);
	le(t, 1, 0); /* 64 KiB */
	le(t, 8, 0x08); /* characteristics not supported */
	le(t, 2, 0x0801); /* ACPI; this is a virtual machine */
	le(t, 4, 0xffff0001);
	end(t, (const char *const[]){"nestscope", "1", "01/01/2025", NULL});
}

static void system_(struct table *t)
{
	static const uint8_t uuid[16] = {0x6e, 0x65, 0x73, 0x74, 0x73, 0x63, 0x6f, 0x70, 0x65};
	begin(t, 1, 0x100);
	le(t, 4, 0x00030201);
	buf_add(&t->b, uuid, sizeof(uuid));
	le(t, 1, 6);
	le(t, 2, 0);
	end(t, (const char *const[]){"nestscope", "nestscope PC", "1", NULL});
}

static void chassis(struct table *t)
{
	begin(t, 3, 0x300);
	le(t, 1, 1);
	le(t, 1, 1); /* other */
	le(t, 3, 0);
	le(t, 4, 0x02030303);
	le(t, 4, 0);
	le(t, 4, 0);
	end(t, (const char *const[]){"nestscope", NULL});
}

static void processor(struct table *t, unsigned i)
{
	begin(t, 4, (uint16_t)(0x400 + i));
	le(t, 1, 1);
	le(t, 1, 3); /* central processor */
	le(t, 1, 1);
	le(t, 1, 2);
	le(t, 8, 0);
	le(t, 1, 0);
	le(t, 1, 0);
	le(t, 2, 0);
	le(t, 2, 1000);
	le(t, 2, 1000);
	le(t, 1, 0x41);
	le(t, 1, 1);
	le(t, 6, 0xffffffffffff);
	le(t, 3, 0);
	le(t, 3, 0x010101);
	le(t, 2, 0x04);
	le(t, 2, 1);
	end(t, (const char *const[]){"CPU", "nestscope", NULL});
}

static void memory(struct table *t, uint64_t mem)
{
	uint64_t mib = mem >> 20;
	begin(t, 16, 0x1000);
	le(t, 1, 1);
	le(t, 1, 3);
	le(t, 1, 3);
	le(t, 4, mem >> 10 > 0x80000000 ? 0x80000000 : mem >> 10);
	le(t, 2, 0xfffe);
	le(t, 2, 1);
	le(t, 8, mem >> 10 > 0x80000000 ? mem : 0);
	end(t, (const char *const[]){NULL});
	begin(t, 17, 0x1100);
	le(t, 2, 0x1000);
	le(t, 2, 0xfffe);
	le(t, 4, 0xffffffff);
	le(t, 2, mib < 0x7fff ? mib : 0x7fff);
	le(t, 1, 9);
	le(t, 1, 0);
	le(t, 2, 1);
	le(t, 1, 7);
	le(t, 2, 2);
	le(t, 2, 0);
	le(t, 4, 0);
	le(t, 1, 0);
	le(t, 4, mib < 0x7fff ? 0 : mib);
	le(t, 2, 0);
	end(t, (const char *const[]){"DIMM 0", NULL});
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;
	while (n--)
		sum += *p++;
	return (uint8_t)-sum;
}

static void entry_point(const struct table *t, uint64_t at, uint8_t e[ENTRY_SIZE])
{
	memset(e, 0, ENTRY_SIZE);
	memcpy(e, "_SM_", 4);
	e[5] = 31;
	e[6] = 2;
	e[7] = 8;
	e[8] = (uint8_t)t->largest;
	e[9] = (uint8_t)(t->largest >> 8);
	memcpy(e + 16, "_DMI_", 5);
	e[22] = (uint8_t)t->b.len;
	e[23] = (uint8_t)(t->b.len >> 8);
	for (unsigned i = 0; i < 4; i++)
		e[24 + i] = (uint8_t)((at + ENTRY_SIZE) >> 8 * i);
	e[28] = (uint8_t)t->count;
	e[30] = 0x28;
	e[21] = checksum(e + 16, 15);
	e[4] = checksum(e, 31);
}

void smbios_build(unsigned cpus, uint64_t mem, uint64_t at, uint8_t *out, size_t max)
{
	struct table t = {0};
	bios(&t);
	system_(&t);
	chassis(&t);
	for (unsigned i = 0; i < cpus && i < 16; i++)
		processor(&t, i);
	memory(&t, mem);
	begin(&t, 32, 0x2000);
	le(&t, 6, 0);
	le(&t, 1, 0);
	end(&t, (const char *const[]){NULL});
	begin(&t, 127, 0x7f00);
	end(&t, (const char *const[]){NULL});
	assert(ENTRY_SIZE + t.b.len <= max);
	entry_point(&t, at, out);
	memcpy(out + ENTRY_SIZE, t.b.data, t.b.len);
	buf_done(&t.b);
}
