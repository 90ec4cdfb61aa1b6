/* The stub on the recorded machine, driven over a socket as a client would. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "gdbstub/frame.h"
#include "gdbstub/gdbstub.h"
#include "introspect/fake.h"
#include "introspect/run.h"

struct rig {
	struct intro *s;
	struct loop *loop;
	struct gdbstub *g;
	int fd[4];
	unsigned fds;
	struct frame frame;
	char line[64]; /* the last monitor command */
};

static bool monitor(void *ctx, unsigned level, unsigned vcpu, const char *line, struct buf *out)
{
	struct rig *r = ctx;
	snprintf(r->line, sizeof(r->line), "l%u.%u %s", level, vcpu, line);
	buf_str(out, "said\n");
	return true;
}

static int open_client(struct rig *r)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(gdbstub_attach(r->g, pair[0], pair[0], LEVEL_L1, NULL));
	r->fd[r->fds++] = pair[1];
	return pair[1];
}

static void open_rig(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->s = fake_session();
	r->loop = loop_new();
	struct gdbstub_config cfg = {.session = r->s, .loop = r->loop, .monitor = monitor, .ctx = r};
	r->g = gdbstub_new(&cfg);
	open_client(r);
}

static void close_rig(struct rig *r)
{
	gdbstub_free(r->g);
	for (unsigned i = 0; i < r->fds; i++)
		close(r->fd[i]);
	loop_free(r->loop);
	intro_free(r->s);
	frame_done(&r->frame);
}

/* Runs loop and machine until a packet comes; "(none)" after long silence. */
static const char *answer(struct rig *r, int fd)
{
	for (int i = 0; i < 20000; i++) {
		unsigned char byte;
		loop_poll(r->loop, 0);
		if (intro_running(r->s))
			intro_run_slice(r->s, 100, NULL);
		while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
			if (frame_feed(&r->frame, byte) == FRAME_PACKET)
				return r->frame.payload.data;
	}
	return "(none)";
}

static void say(int fd, const char *payload)
{
	struct buf b = {0};
	frame_encode(&b, payload, strlen(payload));
	assert_int_equal(write(fd, b.data, b.len), (ssize_t)b.len);
	buf_done(&b);
}

static const char *ask(struct rig *r, const char *payload)
{
	say(r->fd[0], payload);
	return answer(r, r->fd[0]);
}

#define HELLO "qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+"

static void test_hello(void **ctx)
{
	struct rig r;
	(void)ctx;
	open_rig(&r);
	assert_non_null(strstr(ask(&r, HELLO), "multiprocess+"));
	assert_string_equal(ask(&r, "QStartNoAckMode"), "OK");
	assert_string_equal(ask(&r, "vMustReplyEmpty"), "");
	assert_string_equal(ask(&r, "qNobodyKnowsThis"), "");
	assert_string_equal(ask(&r, "qAttached:1"), "1");
	assert_int_equal(strncmp(ask(&r, "?"), "T05thread:p2.1;", 15), 0);
	assert_string_equal(ask(&r, "qfThreadInfo"), "mp1.1,p2.1");
	assert_string_equal(ask(&r, "qsThreadInfo"), "l");
	assert_string_equal(ask(&r, "Tp2.1"), "OK");
	assert_string_equal(ask(&r, "Tp7.1"), "E.no such thread");
	assert_non_null(strstr(ask(&r, "qXfer:threads:read::0,1000"), "VMX non-root, VMCS12 0x5000"));
	close_rig(&r);
}

static void test_description_matches_g(void **ctx)
{
	struct rig r;
	struct buf xml = {0};
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	for (size_t at = 0;;) {
		char packet[64];
		snprintf(packet, sizeof(packet), "qXfer:features:read:target.xml:%zx,400", at);
		const char *part = ask(&r, packet);
		buf_str(&xml, part + 1);
		at += strlen(part) - 1;
		if (part[0] == 'l')
			break;
		assert_int_equal(part[0], 'm');
	}
	assert_non_null(strstr(xml.data, "<reg name=\"rip\" bitsize=\"64\" type=\"code_ptr\" regnum=\"16\""));
	assert_non_null(strstr(xml.data, "exit_qualification"));
	assert_non_null(strstr(xml.data, "</target>"));
	/* g: 17 * 8 + 7 * 4 + 8 * 10 + 8 * 4 + 16 * 16 + 4 + 2 * 8 bytes */
	assert_int_equal(strlen(ask(&r, "g")), 2 * (136 + 28 + 80 + 32 + 256 + 4 + 16));
	char g[64];
	snprintf(g, sizeof(g), "%.16s", ask(&r, "g"));
	assert_string_equal(ask(&r, "p0"), g);
	assert_string_equal(ask(&r, "pfff"), "E.no such register number");
	buf_done(&xml);
	close_rig(&r);
}

static void test_memory_of_both_levels(void **ctx)
{
	struct rig r;
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	assert_string_equal(ask(&r, "Hgp2.1"), "OK");
	assert_string_equal(ask(&r, "m401002,2"), "0fa2"); /* CPUID, through EPT12 */
	assert_string_equal(ask(&r, "m600000,4"), "E01");
	assert_string_equal(ask(&r, "m500000,4"), "E01");
	assert_string_equal(ask(&r, "M403000,4:01020304"), "OK");
	assert_string_equal(ask(&r, "m403000,4"), "01020304");
	assert_string_equal(ask(&r, "qSearch:memory:403000;100;\x02\x03"), "1,403001");
	assert_int_equal(ask(&r, "qCRC:403000,4")[0], 'C');
	assert_int_equal(strncmp(ask(&r, "M403000,4:0102"), "E.", 2), 0);
	assert_string_equal(ask(&r, "Hgp1.1"), "OK");
	assert_string_equal(ask(&r, "m401002,2"), "E01"); /* L1 does not map it */
	close_rig(&r);
}

static void test_break_is_marked_for_its_owner_only(void **ctx)
{
	struct rig r;
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	ask(&r, "Hgp2.1");
	assert_string_equal(ask(&r, "Z0,401006,1"), "OK");
	const char *stop = ask(&r, "vCont;c");
	assert_non_null(strstr(stop, "swbreak:;"));
	assert_non_null(strstr(stop, "thread:p2.1;"));
	assert_string_equal(ask(&r, "p10"), "0610400000000000");
	assert_string_equal(ask(&r, "z0,401006,1"), "OK");
	assert_int_equal(intro_stop_count(r.s), 0);
	struct stop st;
	stop_init(&st, STOP_BREAK, LEVEL_L2);
	st.address = 0x401006;
	assert_true(intro_stop_add(r.s, &st, NULL) > 0);
	stop = ask(&r, "c");
	assert_int_equal(strncmp(stop, "T05thread:p2.1;", 15), 0);
	assert_null(strstr(stop, "swbreak"));
	close_rig(&r);
}

static void test_break_in_one_level_leaves_the_other(void **ctx)
{
	struct rig r;
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	ask(&r, "Hgp1.1");
	assert_string_equal(ask(&r, "Z0,401006,1"), "OK"); /* an L2 address, in L1 */
	ask(&r, "Hgp2.1");
	assert_string_equal(ask(&r, "Z1,40100c,1"), "OK");
	const char *stop = ask(&r, "vCont;c");
	assert_non_null(strstr(stop, "hwbreak:;"));
	assert_string_equal(ask(&r, "p10"), "0c10400000000000");
	close_rig(&r);
}

static void test_conditions(void **ctx)
{
	struct rig r;
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	ask(&r, "Hgp2.1");
	/* const8 0, end: never true */
	assert_string_equal(ask(&r, "Z0,401006,1;X3,220027"), "OK");
	assert_string_equal(ask(&r, "Z0,40100c,1;X3,220127"), "OK");
	ask(&r, "vCont;c");
	assert_string_equal(ask(&r, "p10"), "0c10400000000000");
	assert_int_equal(strncmp(ask(&r, "Z0,1,1;X2,zz"), "E.", 2), 0);
	assert_int_equal(intro_stop_count(r.s), 2);
	close_rig(&r);
}

static void test_step_and_interrupt(void **ctx)
{
	struct rig r;
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	const char *stop = ask(&r, "vCont;s:p2.1;c:p1.-1");
	assert_int_equal(strncmp(stop, "T05", 3), 0);
	say(r.fd[0], "c");
	for (int i = 0; i < 10; i++) {
		loop_poll(r.loop, 0);
		intro_run_slice(r.s, 10, NULL);
	}
	assert_int_equal(write(r.fd[0], "\x03", 1), 1);
	assert_int_equal(strncmp(answer(&r, r.fd[0]), "T02", 3), 0);
	close_rig(&r);
}

static void test_second_client_looks(void **ctx)
{
	struct rig r;
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	int second = open_client(&r);
	say(second, HELLO);
	answer(&r, second);
	say(second, "m401002,2");
	answer(&r, second);
	say(second, "c");
	assert_int_equal(strncmp(answer(&r, second), "E.another client", 16), 0);
	say(second, "?");
	assert_int_equal(strncmp(answer(&r, second), "T05", 3), 0);
	assert_int_equal(gdbstub_clients(r.g), 2);
	close_rig(&r);
}

static void test_breaks_go_with_their_client(void **ctx)
{
	struct rig r;
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	ask(&r, "Hgp2.1");
	ask(&r, "Z2,403000,4");
	assert_int_equal(intro_stop_count(r.s), 1);
	shutdown(r.fd[0], SHUT_RDWR);
	for (int i = 0; i < 10; i++)
		loop_poll(r.loop, 0);
	assert_int_equal(intro_stop_count(r.s), 0);
	assert_int_equal(gdbstub_clients(r.g), 0);
	close_rig(&r);
}

static void test_monitor(void **ctx)
{
	struct rig r;
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	ask(&r, "Hgp2.1");
	assert_string_equal(ask(&r, "qRcmd,6c6576656c73"), "736169640a");
	assert_string_equal(r.line, "l2.0 levels");
	assert_non_null(ask(&r, "qRcmd,706879736963616c206f6e")); /* physical on */
	assert_string_equal(ask(&r, "qRcmd,6"), "736169640a");
	close_rig(&r);
}

static void test_registers_are_written(void **ctx)
{
	struct rig r;
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	ask(&r, "Hgp2.1");
	assert_string_equal(ask(&r, "P0=efbeadde00000000"), "OK");
	assert_string_equal(ask(&r, "p0"), "efbeadde00000000");
	assert_int_equal(strncmp(ask(&r, "P0=ef"), "E.", 2), 0);
	char *all = strdup(ask(&r, "g")), *packet = malloc(strlen(all) + 2);
	sprintf(packet, "G%s", all);
	assert_string_equal(ask(&r, packet), "OK");
	assert_string_equal(ask(&r, "g"), all);
	free(all);
	free(packet);
	close_rig(&r);
}

static void test_rubbish(void **ctx)
{
	struct rig r;
	uint32_t x = 7;
	(void)ctx;
	open_rig(&r);
	ask(&r, HELLO);
	for (unsigned i = 0; i < 3000; i++) {
		static const char first[] = "?gGpPmMXcCsSZzHTDqQvj";
		char packet[40];
		size_t n = 1 + (x >> 8) % 30;
		for (size_t k = 0; k < n; k++) {
			x = x * 1664525 + 1013904223;
			packet[k] = k ? (char)(33 + (x >> 16) % 90) : first[(x >> 16) % 21];
		}
		packet[n] = 0;
		if (packet[0] == 'D')
			continue;
		say(r.fd[0], packet);
		for (int k = 0; k < 3; k++)
			loop_poll(r.loop, 0);
		if (intro_running(r.s))
			intro_pause(r.s);
		answer(&r, r.fd[0]);
	}
	assert_int_equal(gdbstub_clients(r.g), 1);
	close_rig(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hello),
		cmocka_unit_test(test_description_matches_g),
		cmocka_unit_test(test_memory_of_both_levels),
		cmocka_unit_test(test_break_is_marked_for_its_owner_only),
		cmocka_unit_test(test_break_in_one_level_leaves_the_other),
		cmocka_unit_test(test_conditions), cmocka_unit_test(test_step_and_interrupt),
		cmocka_unit_test(test_second_client_looks),
		cmocka_unit_test(test_breaks_go_with_their_client),
		cmocka_unit_test(test_monitor), cmocka_unit_test(test_registers_are_written),
		cmocka_unit_test(test_rubbish)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
