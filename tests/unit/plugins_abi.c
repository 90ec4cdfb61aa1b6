/* The plugin interface's layout: every released entry of the host's table stays
 * where it is, and every row of host.def is there in the header's order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "plugins/nestscope-plugin.h"

#include <string.h>

/* Released: rows are added, none is ever changed. */
static const struct {
	const char *name;
	size_t released, now;
} entries[] = {
	/* version 1 */
	{"error", 8, offsetof(struct nestscope_host, error)},
	{"argument", 16, offsetof(struct nestscope_host, argument)},
	{"print", 24, offsetof(struct nestscope_host, print)},
	{"log", 32, offsetof(struct nestscope_host, log)},
	{"fail", 40, offsetof(struct nestscope_host, fail)},
	{"on", 48, offsetof(struct nestscope_host, on)},
	{"off", 56, offsetof(struct nestscope_host, off)},
	{"counts", 64, offsetof(struct nestscope_host, counts)},
	{"breakpoint", 72, offsetof(struct nestscope_host, breakpoint)},
	{"here", 80, offsetof(struct nestscope_host, here)},
	{"clock", 88, offsetof(struct nestscope_host, clock)},
	{"level", 96, offsetof(struct nestscope_host, level)},
	{"vcpus", 104, offsetof(struct nestscope_host, vcpus)},
	{"reg", 112, offsetof(struct nestscope_host, reg)},
	{"set_reg", 120, offsetof(struct nestscope_host, set_reg)},
	{"read", 128, offsetof(struct nestscope_host, read)},
	{"write", 136, offsetof(struct nestscope_host, write)},
	{"translate", 144, offsetof(struct nestscope_host, translate)},
	{"vmcs", 152, offsetof(struct nestscope_host, vmcs)},
	{"set_vmcs", 160, offsetof(struct nestscope_host, set_vmcs)},
	{"vmcs_writer", 168, offsetof(struct nestscope_host, vmcs_writer)},
	{"symbol", 176, offsetof(struct nestscope_host, symbol)},
	{"symbol_find", 184, offsetof(struct nestscope_host, symbol_find)},
	{"member", 192, offsetof(struct nestscope_host, member)},
	{"type_size", 200, offsetof(struct nestscope_host, type_size)},
	{"eval", 208, offsetof(struct nestscope_host, eval)},
	{"disassemble", 216, offsetof(struct nestscope_host, disassemble)},
	{"transition", 224, offsetof(struct nestscope_host, transition)},
	{"exit_stats", 232, offsetof(struct nestscope_host, exit_stats)},
	{"reason_name", 240, offsetof(struct nestscope_host, reason_name)},
	{"reason_find", 248, offsetof(struct nestscope_host, reason_find)},
	{"field_name", 256, offsetof(struct nestscope_host, field_name)},
	{"field_find", 264, offsetof(struct nestscope_host, field_find)},
	{"detail_text", 272, offsetof(struct nestscope_host, detail_text)},
	{"command", 280, offsetof(struct nestscope_host, command)},
	{"stop", 288, offsetof(struct nestscope_host, stop)},
	{"resume", 296, offsetof(struct nestscope_host, resume)},
	{"inject", 304, offsetof(struct nestscope_host, inject)},
	{"swallow", 312, offsetof(struct nestscope_host, swallow)},
	{"rewrite", 320, offsetof(struct nestscope_host, rewrite)},
	{"add_command", 328, offsetof(struct nestscope_host, add_command)},
	{"out_text", 336, offsetof(struct nestscope_host, out_text)},
	{"out_table", 344, offsetof(struct nestscope_host, out_table)},
	{"out_values", 352, offsetof(struct nestscope_host, out_values)},
	{"out_key", 360, offsetof(struct nestscope_host, out_key)},
	{"out_str", 368, offsetof(struct nestscope_host, out_str)},
	{"out_u64", 376, offsetof(struct nestscope_host, out_u64)},
	{"out_hex", 384, offsetof(struct nestscope_host, out_hex)},
	{"print_output", 392, offsetof(struct nestscope_host, print_output)},
	{"add_panel", 400, offsetof(struct nestscope_host, add_panel)},
	{"panel_text", 408, offsetof(struct nestscope_host, panel_text)},
	{"panel_bar", 416, offsetof(struct nestscope_host, panel_bar)},
	{"create", 424, offsetof(struct nestscope_host, create)},
	{"put", 432, offsetof(struct nestscope_host, put)},
	{"close", 440, offsetof(struct nestscope_host, close)},
	{"unload", 448, offsetof(struct nestscope_host, unload)},
};

static const char *const rows[] = {
#define HOST(since, name, help) #name,
#include "plugins/host.def"
#undef HOST
};

#define COUNT(a) (sizeof(a) / sizeof(a[0]))

static void test_offsets(void **ctx)
{
	(void)ctx;
	for (size_t i = 0; i < COUNT(entries); i++)
		if (entries[i].released != entries[i].now)
			fail_msg("%s moved from %zu to %zu", entries[i].name, entries[i].released,
				entries[i].now);
}

static void test_rows(void **ctx)
{
	(void)ctx;
	assert_int_equal(COUNT(rows), COUNT(entries));
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(rows[i], entries[i].name);
	assert_int_equal(sizeof(struct nestscope_host), 8 + 8 * COUNT(rows));
}

/* Structs grow at their ends alone. */
static void test_structs(void **ctx)
{
	(void)ctx;
	assert_int_equal(offsetof(struct nestscope_event, kind), 16);
	assert_int_equal(offsetof(struct nestscope_event, reason), 52);
	assert_int_equal(offsetof(struct nestscope_event, cost), 120);
	assert_int_equal(offsetof(struct nestscope_event, handle), 184);
	assert_int_equal(offsetof(struct nestscope_filter, low), 16);
	assert_int_equal(offsetof(struct nestscope_filter, access), 80);
	assert_int_equal(sizeof(struct nestscope_level), 56);
	assert_int_equal(sizeof(struct nestscope_write), 56);
	assert_int_equal(sizeof(struct nestscope_stat), 56);
	assert_int_equal(sizeof(struct nestscope_insn), 120);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_structs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
