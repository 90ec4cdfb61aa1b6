/* The packet layer on the recorded machine: two clients of one listener send
 * what the input says, line by line:
 *
 *   a TEXT  client a sends TEXT as a packet, with its checksum; b: client b
 *   A TEXT  client a sends TEXT as it is; B: client b
 *   r       the machine runs a slice
 *   s       no more '+' and '-' to client a (as after QStartNoAckMode)
 *   q       client b goes away
 *
 * ~XX is a byte in hex. Whatever they send: no crash, no leak, no hang, and
 * client a is served afterwards when it is still there.
 */
#include "tests/fuzz/driver.h"

#include "base/hex.h"
#include "base/loop.h"
#include "command/command.h"
#include "gdbstub/frame.h"
#include "gdbstub/gdbstub.h"
#include "introspect/fake.h"
#include "introspect/run.h"
#include "tests/fuzz/safe.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct rig {
	struct intro *s;
	struct loop *loop;
	struct gdbstub *g;
	struct shell sh;
	int fd[2]; /* -1: gone */
};

static bool monitor(void *ctx, unsigned level, unsigned vcpu, const char *line, struct buf *out)
{
	struct rig *r = ctx;
	r->sh.focus = (struct place){level, vcpu};
	if (fuzz_reaches_files(&r->sh, line))
		return false;
	return command_run(&r->sh, line, out);
}

static void open_client(struct rig *r, int i)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
		!gdbstub_attach(r->g, pair[0], pair[0], LEVEL_L1, NULL))
		abort();
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	r->fd[i] = pair[1];
}

static void open_rig(struct rig *r)
{
	r->s = fake_session();
	intro_set_limit(r->s, 100000);
	r->loop = loop_new();
	shell_init(&r->sh, r->s);
	struct gdbstub_config cfg = {.session = r->s, .loop = r->loop, .monitor = monitor, .ctx = r};
	r->g = gdbstub_new(&cfg);
	open_client(r, 0);
	open_client(r, 1);
}

static void close_rig(struct rig *r)
{
	gdbstub_free(r->g);
	for (int i = 0; i < 2; i++)
		if (r->fd[i] >= 0)
			close(r->fd[i]);
	shell_done(&r->sh);
	loop_free(r->loop);
	intro_free(r->s);
}

/* Takes what the stub has sent; false: it closed the connection. */
static bool drain(int fd)
{
	char part[65536];
	ssize_t n;
	while ((n = read(fd, part, sizeof part)) > 0)
		;
	return n < 0;
}

static void turn(struct rig *r)
{
	for (int k = 0; k < 2; k++) {
		loop_poll(r->loop, 0);
		for (int i = 0; i < 2; i++)
			if (r->fd[i] >= 0 && !drain(r->fd[i])) {
				close(r->fd[i]);
				r->fd[i] = -1;
			}
	}
}

static void put(struct rig *r, int i, const char *p, size_t n)
{
	for (unsigned tries = 0; n && r->fd[i] >= 0 && tries < 1000; tries++) {
		ssize_t sent = send(r->fd[i], p, n, MSG_NOSIGNAL);
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		}
		turn(r);
	}
}

/* ~XX becomes a byte. */
static void unescape(const char *p, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t byte;
		if (p[i] == '~' && i + 2 < n && hex_decode(&byte, p + i + 1, 1)) {
			buf_add(out, &byte, 1);
			i += 2;
		} else {
			buf_add(out, p + i, 1);
		}
	}
}

static void line(struct rig *r, const char *p, size_t n)
{
	struct buf text = {0}, packet = {0};
	if (!n)
		return;
	unescape(p + 1 + (n > 1 && p[1] == ' '), n - 1 - (n > 1 && p[1] == ' '), &text);
	switch (p[0]) {
	case 'a': case 'b':
		frame_encode(&packet, text.data ? text.data : "", text.len);
		put(r, p[0] - 'a', packet.data, packet.len);
		break;
	case 'A': case 'B':
		put(r, p[0] - 'A', text.data, text.len);
		break;
	case 'r':
		if (intro_running(r->s))
			intro_run_slice(r->s, 200, NULL);
		break;
	case 'q':
		if (r->fd[1] >= 0)
			close(r->fd[1]);
		r->fd[1] = -1;
		break;
	default:
		break;
	}
	turn(r);
	buf_done(&text);
	buf_done(&packet);
}

void fuzz_one(const uint8_t *data, size_t n)
{
	struct rig r;
	const char *p = (const char *)data, *end = p + n;
	open_rig(&r);
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		line(&r, p, (size_t)((nl ? nl : end) - p));
		p = nl ? nl + 1 : end;
	}
	/* a client that is still there is answered */
	if (r.fd[0] >= 0) {
		struct frame f = {0};
		unsigned char byte;
		bool answered = false;
		intro_pause(r.s);
		for (int i = 0; i < 10 && intro_running(r.s); i++)
			intro_run_slice(r.s, 200, NULL);
		put(&r, 0, "#00", 3); /* ends what is open */
		if (r.fd[0] >= 0 && send(r.fd[0], "$qC#b4", 6, MSG_NOSIGNAL) == 6)
			for (int i = 0; i < 3; i++)
				loop_poll(r.loop, 0);
		while (r.fd[0] >= 0 && read(r.fd[0], &byte, 1) == 1)
			answered |= frame_feed(&f, byte) == FRAME_PACKET;
		frame_done(&f);
		if (r.fd[0] >= 0 && !answered && gdbstub_clients(r.g) == 2)
			abort();
	}
	close_rig(&r);
}

/* --- making inputs ------------------------------------------------------------- */

static const char *const packets[] = {
#define PACKET(name, fn, rights, help) name,
#include "gdbstub/packets.def"
#undef PACKET
};

static const char *const words[] = {"0", "1", "-1", "p1.1", "p2.1", "p-1.-1", "p2.-1", "p3.1", ",", ";",
	":", "=", "401000", "401006", "403000", "500000", "600000", "ffffffff81000000",
	"ffffffffffffffff", "fffffffffffffff0", "7fffffff", "20000", "100", "1000", "4", "8",
	"X3,220127", "X5,2600052227", "X4,22002027", "efbeadde", "00000000", "xx", "zz", "~00", "~7d",
	"~23", "~24", "~2a", "multiprocess+;swbreak+", "target.xml:0,fff", "::0,1000", ":0,1000",
	"thread:2;", "c:p1.-1", "s:p2.1", "r401000,401020:p2.1", "t:p1.1", "6c6576656c73",
	"766d6373203132", "7374657069", "706879736963616c206f6e"};

static size_t text(struct fuzz_random *r, char *out, size_t max)
{
	size_t n = (size_t)snprintf(out, max, "%s", packets[fuzz_below(r, sizeof packets / sizeof *packets)]);
	for (unsigned k = fuzz_below(r, 8); k-- && n < max;)
		n += (size_t)snprintf(out + n, max - n, "%s", words[fuzz_below(r, sizeof words / sizeof *words)]);
	if (n < max && fuzz_below(r, 200) == 0) { /* longer than a packet may be */
		size_t more = fuzz_below(r, 600000);
		if (more > max - n)
			more = max - n;
		memset(out + n, '0' + (int)fuzz_below(r, 10), more);
		n += more;
	}
	return n < max ? n : max;
}

size_t fuzz_make(struct fuzz_random *r, uint8_t *out, size_t max)
{
	static const char first[] = "aaaaaaaaaaabbbrrrAABq";
	char *p = (char *)out;
	size_t n = 0;
	if (fuzz_below(r, 4))
		n += (size_t)snprintf(p, max, "a qSupported:multiprocess+;swbreak+;hwbreak+\n");
	for (unsigned lines = 1 + fuzz_below(r, 24); lines-- && n + 16 < max;) {
		char kind = first[fuzz_below(r, sizeof first - 1)];
		p[n++] = kind;
		p[n++] = ' ';
		if (kind == 'A' || kind == 'B') {
			for (unsigned k = 1 + fuzz_below(r, 40); k-- && n + 4 < max;)
				n += (size_t)snprintf(p + n, max - n, "~%02x",
					fuzz_below(r, 3) ? (unsigned)"$#+-}*~03"[fuzz_below(r, 8)] : fuzz_below(r, 256));
		} else if (kind == 'a' || kind == 'b') {
			n += text(r, p + n, max - n - 1);
		}
		p[n++] = '\n';
	}
	return n;
}
