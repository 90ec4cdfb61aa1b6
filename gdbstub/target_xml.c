/* The target description, made from the register table. gdb reads it once, at
 * connect, so that it never changes within a session. */
#include "gdbstub/handlers.h"

#include <string.h>

/* Types that gdb does not predefine. Bits: SDM Vol. 1 3.4.3 "EFLAGS Register",
 * Vol. 3A 2.5 "Control Registers", 2.2.1 "Extended Feature Enable Register". */
static const struct bit {
	const char *type, *name;
	unsigned char low, high;
} bits[] = {
	{"i386_eflags", "CF", 0, 0}, {"i386_eflags", "", 1, 1}, {"i386_eflags", "PF", 2, 2},
	{"i386_eflags", "AF", 4, 4}, {"i386_eflags", "ZF", 6, 6}, {"i386_eflags", "SF", 7, 7},
	{"i386_eflags", "TF", 8, 8}, {"i386_eflags", "IF", 9, 9}, {"i386_eflags", "DF", 10, 10},
	{"i386_eflags", "OF", 11, 11}, {"i386_eflags", "NT", 14, 14}, {"i386_eflags", "RF", 16, 16},
	{"i386_eflags", "VM", 17, 17}, {"i386_eflags", "AC", 18, 18}, {"i386_eflags", "VIF", 19, 19},
	{"i386_eflags", "VIP", 20, 20}, {"i386_eflags", "ID", 21, 21},
	{"i386_mxcsr", "IE", 0, 0}, {"i386_mxcsr", "DE", 1, 1}, {"i386_mxcsr", "ZE", 2, 2},
	{"i386_mxcsr", "OE", 3, 3}, {"i386_mxcsr", "UE", 4, 4}, {"i386_mxcsr", "PE", 5, 5},
	{"i386_mxcsr", "DAZ", 6, 6}, {"i386_mxcsr", "IM", 7, 7}, {"i386_mxcsr", "DM", 8, 8},
	{"i386_mxcsr", "ZM", 9, 9}, {"i386_mxcsr", "OM", 10, 10}, {"i386_mxcsr", "UM", 11, 11},
	{"i386_mxcsr", "PM", 12, 12}, {"i386_mxcsr", "FZ", 15, 15},
	{"cr0_flags", "PE", 0, 0}, {"cr0_flags", "MP", 1, 1}, {"cr0_flags", "EM", 2, 2},
	{"cr0_flags", "TS", 3, 3}, {"cr0_flags", "ET", 4, 4}, {"cr0_flags", "NE", 5, 5},
	{"cr0_flags", "WP", 16, 16}, {"cr0_flags", "AM", 18, 18}, {"cr0_flags", "NW", 29, 29},
	{"cr0_flags", "CD", 30, 30}, {"cr0_flags", "PG", 31, 31},
	{"cr4_flags", "VME", 0, 0}, {"cr4_flags", "PVI", 1, 1}, {"cr4_flags", "TSD", 2, 2},
	{"cr4_flags", "DE", 3, 3}, {"cr4_flags", "PSE", 4, 4}, {"cr4_flags", "PAE", 5, 5},
	{"cr4_flags", "MCE", 6, 6}, {"cr4_flags", "PGE", 7, 7}, {"cr4_flags", "PCE", 8, 8},
	{"cr4_flags", "OSFXSR", 9, 9}, {"cr4_flags", "OSXMMEXCPT", 10, 10},
	{"cr4_flags", "UMIP", 11, 11}, {"cr4_flags", "LA57", 12, 12}, {"cr4_flags", "VMXE", 13, 13},
	{"cr4_flags", "SMXE", 14, 14}, {"cr4_flags", "FSGSBASE", 16, 16},
	{"cr4_flags", "PCIDE", 17, 17}, {"cr4_flags", "OSXSAVE", 18, 18},
	{"cr4_flags", "SMEP", 20, 20}, {"cr4_flags", "SMAP", 21, 21}, {"cr4_flags", "PKE", 22, 22},
	{"efer_flags", "SCE", 0, 0}, {"efer_flags", "LME", 8, 8}, {"efer_flags", "LMA", 10, 10},
	{"efer_flags", "NXE", 11, 11},
};

static void flags(struct buf *out, const char *type, unsigned size)
{
	buf_fmt(out, "<flags id=\"%s\" size=\"%u\">", type, size);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (!strcmp(bits[i].type, type))
			buf_fmt(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", bits[i].name,
				bits[i].low, bits[i].high);
	buf_str(out, "</flags>\n");
}

/* The parts of a vector register, as gdb names them. */
static void vector(struct buf *out)
{
	static const struct {
		const char *id, *type, *field;
		unsigned count;
	} part[] = {{"v4f", "ieee_single", "v4_float", 4},
		{"v2d", "ieee_double", "v2_double", 2}, {"v16i8", "int8", "v16_int8", 16},
		{"v8i16", "int16", "v8_int16", 8}, {"v4i32", "int32", "v4_int32", 4},
		{"v2i64", "int64", "v2_int64", 2}};
	const size_t n = sizeof(part) / sizeof(part[0]);
	for (size_t i = 0; i < n; i++)
		buf_fmt(out, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n", part[i].id,
			part[i].type, part[i].count);
	buf_str(out, "<union id=\"vec128\">");
	for (size_t i = 0; i < n; i++)
		buf_fmt(out, "<field name=\"%s\" type=\"%s\"/>", part[i].field, part[i].id);
	buf_str(out, "<field name=\"uint128\" type=\"uint128\"/></union>\n");
}

enum feature { CORE, SSE, SEGMENTS, AVX, PKEYS, OURS, FEATURES };

static const char *const feature_name[FEATURES] = {"org.gnu.gdb.i386.core", "org.gnu.gdb.i386.sse",
	"org.gnu.gdb.i386.segments", "org.gnu.gdb.i386.avx", "org.gnu.gdb.i386.pkeys",
	"org.nestscope.system"};

static enum feature feature_of(enum reg_id id)
{
	if (id <= R_FOP)
		return CORE;
	if (id <= R_MXCSR)
		return SSE;
	if (id == R_FS_BASE || id == R_GS_BASE)
		return SEGMENTS;
	if (id <= R_YMM15H)
		return AVX;
	return id == R_PKRU ? PKEYS : OURS;
}

static void types(struct buf *out, enum feature f)
{
	if (f == CORE)
		flags(out, "i386_eflags", 4);
	if (f == SSE) {
		vector(out);
		flags(out, "i386_mxcsr", 4);
	}
	if (f == OURS) {
		flags(out, "cr0_flags", 8);
		flags(out, "cr4_flags", 8);
		flags(out, "efer_flags", 8);
	}
}

static const char *reg_name(const struct conn *c, enum reg_id id)
{
	static const char *const name32[] = {
		"eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp"};
	if (c->i386 && id == R_RIP)
		return "eip";
	return c->i386 && id <= R_RSP ? name32[id] : reg_info(id)->name;
}

static const char *reg_type(const struct conn *c, enum reg_id id)
{
	const char *type = reg_info(id)->type;
	return c->i386 && id <= R_RIP && !strcmp(type, "int64") ? "int32" : type;
}

void target_xml(const struct conn *c, struct buf *out)
{
	buf_fmt(out,
		"<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
		"<target version=\"1.0\">\n<architecture>%s</architecture>\n",
		c->i386 ? "i386" : "i386:x86-64");
	for (enum feature f = 0; f < FEATURES; f++) {
		if (c->i386 && f == SEGMENTS)
			continue;
		buf_fmt(out, "<feature name=\"%s\">\n", feature_name[f]);
		types(out, f);
		for (enum reg_id id = 0; id < R_COUNT; id++) {
			unsigned size = target_regs(c, id);
			if (feature_of(id) != f || !size)
				continue;
			buf_fmt(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"",
				reg_name(c, id), 8 * size, reg_type(c, id), id);
			if (f == OURS)
				buf_fmt(out, " group=\"%s\"",
					reg_info(id)->group == REG_GROUP_VMX ? "vmx" : "system");
			buf_str(out, "/>\n");
		}
		buf_str(out, "</feature>\n");
	}
	buf_str(out, "</target>\n");
}

void packet_features(struct conn *c, char *args, size_t len)
{
	struct buf doc = {0};
	(void)len;
	if (strncmp(args, "target.xml:", 11)) {
		buf_str(&c->reply, "E00");
		return;
	}
	target_xml(c, &doc);
	xfer(c, args + 11, &doc);
	buf_done(&doc);
}
