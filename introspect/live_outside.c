/* Console, keys, screen, devices, inputs of the live machine. */
#include "introspect/live_machine.h"

#include "base/input.h"
#include "machine/devices.h"
#include "machine/uart.h"

#include <string.h>
#include <strings.h>

/* --- the serial console ------------------------------------------------------------------- */

static void complete_lines(struct live_tap *t, const uint8_t *data, size_t n)
{
	struct live *v = t->v;
	for (size_t i = 0; i < n; i++) {
		if (data[i] != '\n') {
			if (data[i] != '\r' && t->line.len < 4096)
				buf_char(&t->line, (char)data[i]);
			continue;
		}
		struct event ev = {.kind = EVENT_CONSOLE, .at = {LEVEL_L1, v->l->machine->current},
			.position = l0_position(v->l), .value = t->port,
			.text = t->line.data ? t->line.data : ""};
		if ((v->wants & WANT_CONSOLE) && v->sink.event(v->sink.ctx, &ev))
			l0_interrupt(v->l);
		buf_clear(&t->line);
	}
}

static void tapped(void *ctx, const uint8_t *data, size_t n)
{
	struct live_tap *t = ctx;
	buf_add(&t->text, data, n);
	t->total += n;
	if (t->text.len > 2 * LIVE_CONSOLE)
		buf_eat(&t->text, t->text.len - LIVE_CONSOLE);
	complete_lines(t, data, n);
	if (t->next.write)
		t->next.write(t->next.ctx, data, n);
}

void live_tap_serial(struct live *v)
{
	for (unsigned i = 0; i < MACHINE_SERIALS; i++) {
		struct live_tap *t = &v->tap[i];
		struct serial_backend tap = {tapped, t};
		t->v = v;
		t->port = i;
		t->next = v->l->machine->serial[i]->out;
		uart_attach(v->l->machine->serial[i], &tap);
	}
}

void live_untap_serial(struct live *v)
{
	for (unsigned i = 0; i < MACHINE_SERIALS; i++) {
		uart_attach(v->l->machine->serial[i], &v->tap[i].next);
		buf_done(&v->tap[i].text);
		buf_done(&v->tap[i].line);
	}
}

size_t live_console_read(void *ctx, unsigned port, uint64_t *from, struct buf *out)
{
	struct live *v = ctx;
	if (port >= MACHINE_SERIALS)
		return 0;
	const struct live_tap *t = &v->tap[port];
	uint64_t oldest = t->total - t->text.len;
	uint64_t at = *from < oldest ? oldest : *from > t->total ? t->total : *from;
	size_t n = (size_t)(t->total - at);
	if (n)
		buf_add(out, t->text.data + (at - oldest), n);
	*from = t->total;
	return n;
}

static bool put(struct live *v, enum input_kind kind, uint32_t target, const void *data, size_t n,
	struct err *e)
{
	return input_put(v->l->inputs, kind, target, data, (uint32_t)n) ||
		err_set(e, ERR_GENERAL, "recorded inputs are being played; nothing else may come in");
}

bool live_type(void *ctx, unsigned port, const void *bytes, size_t len, struct err *e)
{
	if (port >= MACHINE_SERIALS)
		return err_set(e, ERR_GENERAL, "there is no COM%u; COM1 is port 0", port + 1);
	if (len > INPUT_MAX_BYTES)
		return err_set(e, ERR_GENERAL, "at most %d bytes at once", INPUT_MAX_BYTES);
	return put(ctx, INPUT_SERIAL, port, bytes, len, e);
}

/* Scan codes of set 1. */
static const struct {
	const char *name;
	uint16_t code;
} keys[] = {
#define KEY(name, code) {name, code},
#include "introspect/keys.def"
#undef KEY
};

static size_t add_code(uint8_t *out, uint16_t code, bool up)
{
	size_t n = 0;
	if (code >> 8)
		out[n++] = (uint8_t)(code >> 8);
	out[n++] = (uint8_t)(code | (up ? 0x80 : 0));
	return n;
}

bool live_key(void *ctx, const char *key, struct err *e)
{
	uint16_t code[8];
	uint8_t bytes[48];
	unsigned n = 0;
	size_t len = 0;
	const char *p = key;
	while (*p && n < 8) {
		size_t k = strcspn(p, "-"), i;
		if (!k)
			k = 1; /* the key '-' itself */
		for (i = 0; i < sizeof keys / sizeof *keys; i++)
			if (strlen(keys[i].name) == k && !strncasecmp(keys[i].name, p, k))
				break;
		if (i == sizeof keys / sizeof *keys)
			return err_set(e, ERR_GENERAL, "no key '%.*s'; keys are letters, digits, f1 to f12, enter, "
				"esc, tab, space, up, ctrl-alt-del ...", (int)k, p);
		code[n++] = keys[i].code;
		p += k + (p[k] == '-' && p[k + 1]);
	}
	for (unsigned i = 0; i < n; i++)
		len += add_code(bytes + len, code[i], false);
	for (unsigned i = n; i--;)
		len += add_code(bytes + len, code[i], true);
	return put(ctx, INPUT_KEY, 0, bytes, len, e);
}

bool live_nmi(void *ctx, unsigned vcpu, struct err *e)
{
	return put(ctx, INPUT_NMI, vcpu, "", 0, e);
}

bool live_reset(void *ctx, struct err *e)
{
	return put(ctx, INPUT_RESET, 0, "", 0, e);
}

bool live_powerdown(void *ctx, struct err *e)
{
	return put(ctx, INPUT_POWER, 0, "", 0, e);
}

/* --- what there is ---------------------------------------------------------------------------- */

bool live_screen(void *ctx, struct intro_screen *out, struct err *e)
{
	struct live *v = ctx;
	const struct vga *vga = &v->l->machine->dev->vga;
	uint8_t cells[VGA_ROWS * VGA_COLS * 2];
	unsigned start = (unsigned)vga->crtc[12] << 8 | vga->crtc[13];
	unsigned cursor = (unsigned)vga->crtc[14] << 8 | vga->crtc[15];
	memset(out, 0, sizeof *out);
	if (!phys_read(&v->l->machine->phys, hpa(VGA_TEXT + 2 * (start & 0x3fff)), cells, sizeof cells) &&
		!phys_read(&v->l->machine->phys, hpa(VGA_TEXT), cells, sizeof cells))
		return err_set(e, ERR_GENERAL, "the machine has no text screen");
	out->rows = VGA_ROWS;
	out->columns = VGA_COLS;
	cursor = cursor >= start ? cursor - start : 0;
	out->cursor_row = cursor / VGA_COLS < VGA_ROWS ? cursor / VGA_COLS : VGA_ROWS - 1;
	out->cursor_column = cursor % VGA_COLS;
	for (unsigned i = 0; i < VGA_ROWS * VGA_COLS; i++) {
		out->cell[i / VGA_COLS][i % VGA_COLS].character = cells[2 * i];
		out->cell[i / VGA_COLS][i % VGA_COLS].attribute = cells[2 * i + 1];
	}
	return true;
}

size_t live_devices(void *ctx, struct intro_device *out, size_t max)
{
	const struct bus *b = &((struct live *)ctx)->l->machine->bus;
	size_t n = 0;
	for (unsigned i = 0; i < b->mmios && n < max; i++)
		out[n++] = (struct intro_device){b->mmio[i].name, "mmio", b->mmio[i].base, b->mmio[i].size};
	for (unsigned i = 0; i < b->ports && n < max; i++)
		out[n++] = (struct intro_device){b->port[i].name, "port", b->port[i].base, b->port[i].size};
	return n;
}

size_t live_memory_ranges(void *ctx, struct intro_memory_range *out, size_t max)
{
	const struct phys *p = &((struct live *)ctx)->l->machine->phys;
	size_t n = 0;
	for (unsigned i = 0; i < p->ranges && n < max; i++) {
		const struct phys_range *r = &p->range[i];
		if (r->host)
			out[n++] = (struct intro_memory_range){r->name, r->kind == PHYS_ROM ? "ROM" :
				r->base.v >= PHYS_PRIVATE ? "private" : "RAM", r->base.v, r->size};
	}
	return n;
}

/* VMREADs and VMWRITEs that ran without an exit, of all vCPUs. */
static void shadow_info(const struct live *v, struct buf *out)
{
	uint64_t reads = 0, writes = 0;
	for (unsigned i = 0; i < v->l->vcpus; i++) {
		reads += vmx_of(v->l->vcpu[i].cpu)->shadow_reads;
		writes += vmx_of(v->l->vcpu[i].cpu)->shadow_writes;
	}
	buf_fmt(out, "VMREADs served: %llu\nVMWRITEs served: %llu\n", (unsigned long long)reads,
		(unsigned long long)writes);
	if (!v->n->dirty.bits)
		return;
	uint64_t pages = v->n->dirty.count;
	for (unsigned i = 0; i < v->l->vcpus; i++)
		pages += dirty_waiting(
			&v->n->dirty, &v->l->machine->phys, &v->n->vcpu[i].vmcs01);
	buf_fmt(out, "pages written: %llu\n", (unsigned long long)pages);
}

void live_cpu_info(void *ctx, struct buf *out)
{
	struct live *v = ctx;
	const struct cpu_model *m = &v->l->model;
	struct engine_stats st;
	engine_stats(v->l->engine, &st);
	buf_fmt(out, "model: %s\nvendor: %s\nbrand: %s\nfamily, model, stepping: %u, %u, %u\n", m->name,
		m->vendor, m->brand, m->family, m->model, m->stepping);
	buf_fmt(out, "physical bits: %u\nvcpus: %u\nquantum: %llu\nl0: %s\n", m->phys_bits, v->l->vcpus,
		(unsigned long long)v->l->quantum, v->n ? l0_mmu_name(v->n->opt->mmu) : "none");
	buf_fmt(out, "retired: %llu\nblocks built: %llu\nblocks flushed: %llu\nTLB misses: %llu\n"
		"TLB walks: %llu\nself-modifying: %llu\n", (unsigned long long)l0_retired(v->l),
		(unsigned long long)st.blocks_built, (unsigned long long)st.blocks_flushed,
		(unsigned long long)st.tlb_misses, (unsigned long long)st.tlb_walks,
		(unsigned long long)st.smc_events);
	if (v->n)
		shadow_info(v, out);
}

size_t live_inputs(void *ctx)
{
	return inputs_count(((struct live *)ctx)->l->inputs);
}

bool live_input_at(void *ctx, size_t i, struct intro_input *out)
{
	const struct inputs *in = ((struct live *)ctx)->l->inputs;
	if (i >= inputs_count(in))
		return false;
	const struct input *x = inputs_at(in, i);
	*out = (struct intro_input){x->at, input_kind_name(x->kind), x->target, x->len, x->data, false};
	if (x->kind >= INPUT_REGISTER) { /* those that live_regs.c takes */
		out->by_plugin = x->target & LIVE_BY_PLUGIN;
		out->target &= ~LIVE_BY_PLUGIN;
	}
	return true;
}

bool live_inputs_save(void *ctx, const char *path, struct err *e)
{
	return inputs_save(((struct live *)ctx)->l->inputs, path, e);
}

bool live_inputs_play(void *ctx, const char *path, struct err *e)
{
	return inputs_play(((struct live *)ctx)->l->inputs, path, e);
}
