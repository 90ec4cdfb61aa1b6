/* The triptych: a field in VMCS01, 12, 02 and the shadow, side by side. */
#include "tui/view.h"

#include "introspect/symbols.h"
#include "introspect/vmcs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PINS 16

struct own {
	uint32_t pin[PINS];
	unsigned pins;
};

enum { SHOW_ALL, SHOW_DIFF, SHOW_CONTROL, SHOW_GUEST, SHOW_HOST, SHOW_EXIT, SHOWS };
static const char *const show_name[SHOWS] = {"all fields", "where 12 and 02 differ", "controls",
	"guest state", "host state", "exit information"};

static void open_view(struct view *v)
{
	v->own = xalloc(sizeof(struct own));
}
static void close_view(struct view *v)
{
	free(v->own);
}

static bool get(struct view *v, enum intro_vmcs which, uint32_t enc, uint64_t *out)
{
	struct intro_vmcs_value val;
	if (!intro_vmcs_get(v->s, tui_place(v->t), which, enc, &val, NULL))
		return false;
	*out = val.value;
	return true;
}

static bool wanted(struct view *v, const struct intro_field *f)
{
	uint64_t a, b;
	switch (v->mode % SHOWS) {
	case SHOW_DIFF:
		return get(v, INTRO_VMCS12, f->encoding, &a) && get(v, INTRO_VMCS02, f->encoding, &b) &&
			a != b;
	case SHOW_CONTROL:
		return f->group == FIELD_CONTROL;
	case SHOW_GUEST:
		return f->group == FIELD_GUEST;
	case SHOW_HOST:
		return f->group == FIELD_HOST;
	case SHOW_EXIT:
		return f->group == FIELD_EXIT_INFO;
	default:
		return true;
	}
}

static bool pinned(const struct own *o, uint32_t enc)
{
	for (unsigned i = 0; i < o->pins; i++)
		if (o->pin[i] == enc)
			return true;
	return false;
}

static void opened(struct view *v, struct lines *l, const struct intro_field *f)
{
	struct place at = tui_place(v->t);
	struct intro_vmcs_origin origin;
	struct intro_vmcs_write w;
	struct buf b = {0};
	uint64_t value;
	enum intro_vmcs which = get(v, INTRO_VMCS12, f->encoding, &value) ? INTRO_VMCS12 : INTRO_VMCS02;
	if (get(v, which, f->encoding, &value)) {
		intro_vmcs_decode(v->s, at, which, f, value, &b);
		if (b.len) {
			lines_row(l, f->encoding);
			lines_add(l, COLOUR_DIM, "    means   %s", b.data);
		}
	}
	if (intro_vmcs_origin(v->s, at, f->encoding, &origin, NULL)) {
		lines_row(l, f->encoding);
		lines_add(l, COLOUR_DIM, "    origin  l1 %llx, l0 %llx, merged %llx: %s%s",
			(unsigned long long)origin.from_l1, (unsigned long long)origin.from_l0,
			(unsigned long long)(origin.merged | origin.computed),
			origin.rule ? origin.rule : "",
			origin.shadowed_read ? "; shadowing serves it" : "");
	}
	if (intro_vmcs_writer(v->s, at, f->encoding, &w)) {
		struct buf by = {0};
		bool named = intro_symbol_print_cr3(v->s, LEVEL_L1, w.cr3, w.rip, &by);
		lines_row(l, f->encoding);
		lines_add(l, COLOUR_DIM, "    writer  %s at %llu, ", intro_writer_name(w.writer),
			(unsigned long long)w.at.clock);
		lines_add(l, named ? COLOUR_SYMBOL : COLOUR_ADDRESS, "%s", by.data);
		buf_done(&by);
	}
	struct intro_field_part part[64];
	unsigned parts = intro_field_parts(f, part, 64);
	for (unsigned i = 0; i < parts; i++) {
		uint64_t mask = part[i].bits >= 64 ? UINT64_MAX : BIT(part[i].bits) - 1;
		lines_row(l, f->encoding);
		lines_add(l, COLOUR_DIM, "    %2u  ", part[i].low);
		for (enum intro_vmcs w4 = 0; w4 < INTRO_VMCS_COUNT; w4++) {
			if (get(v, w4, f->encoding, &value))
				lines_add(l, value >> part[i].low & mask ? COLOUR_GOOD : COLOUR_DIM,
					" %s:%llx", intro_vmcs_name(w4),
					(unsigned long long)(value >> part[i].low & mask));
			else
				lines_add(l, COLOUR_DIM, " %s:-", intro_vmcs_name(w4));
		}
		lines_add(l, COLOUR_DEFAULT, "  %s", part[i].name);
	}
	buf_done(&b);
}

static void row(struct view *v, struct lines *l, const struct intro_field *f)
{
	uint64_t val[INTRO_VMCS_COUNT];
	bool have[INTRO_VMCS_COUNT];
	struct own *o = v->own;
	for (enum intro_vmcs w = 0; w < INTRO_VMCS_COUNT; w++)
		have[w] = get(v, w, f->encoding, &val[w]);
	bool differs = have[INTRO_VMCS12] && have[INTRO_VMCS02] &&
		val[INTRO_VMCS12] != val[INTRO_VMCS02];
	lines_row(l, f->encoding);
	lines_add(l, COLOUR_KEY, "%s", pinned(o, f->encoding) ? "*" : " ");
	lines_add(l, differs ? COLOUR_CHANGED : COLOUR_DEFAULT, "%-36s", f->name);
	for (enum intro_vmcs w = 0; w < INTRO_VMCS_COUNT; w++) {
		if (have[w])
			lines_add(l, differs && w == INTRO_VMCS02 ? COLOUR_CHANGED : COLOUR_NUMBER,
				" %16llx", (unsigned long long)val[w]);
		else
			lines_add(l, COLOUR_DIM, " %16s", "-");
	}
	if (v->open_ref == f->encoding)
		opened(v, l, f);
}

static void fill(struct view *v, struct lines *l, int width)
{
	struct own *o = v->own;
	char text[160];
	(void)width;
	snprintf(text, sizeof(text), " %-36s %16s %16s %16s %16s  %s", "field", "01", "12", "02",
		"shadow", show_name[v->mode % SHOWS]);
	lines_head(l, text);
	for (unsigned i = 0; i < o->pins; i++)
		row(v, l, intro_field_by_encoding(o->pin[i]));
	for (unsigned i = 0; i < intro_field_count(); i++) {
		const struct intro_field *f = intro_field_at(i);
		if (!pinned(o, f->encoding) && wanted(v, f))
			row(v, l, f);
	}
}

static void toggle_pin(struct own *o, uint32_t enc)
{
	for (unsigned i = 0; i < o->pins; i++)
		if (o->pin[i] == enc) {
			memmove(&o->pin[i], &o->pin[i + 1], (--o->pins - i) * sizeof(o->pin[0]));
			return;
		}
	if (o->pins < PINS)
		o->pin[o->pins++] = enc;
}

static bool act(struct view *v, enum action a)
{
	const struct intro_field *f = intro_field_by_encoding((uint32_t)v->list.ref);
	uint64_t value;
	char text[32] = "";
	switch (a) {
	case ACT_OPEN:
		v->open_ref = v->open_ref == v->list.ref ? UINT64_MAX : v->list.ref;
		return true;
	case ACT_BACK:
		v->open_ref = UINT64_MAX;
		return true;
	case ACT_MODE:
		v->mode = (v->mode + 1) % SHOWS;
		return true;
	case ACT_PIN:
		if (f)
			toggle_pin(v->own, f->encoding);
		return true;
	case ACT_EDIT:
		if (f && get(v, INTRO_VMCS12, f->encoding, &value))
			snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
		if (f)
			tui_ask(v->t, v, a, f->name, text);
		return true;
	default:
		return false;
	}
}

static bool enter(struct view *v, enum action asked, const char *text, struct err *e)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);
	(void)asked;
	if (end == text || *end)
		return err_set(e, ERR_USAGE, "'%s' is no number", text);
	return intro_vmcs_set(v->s, tui_place(v->t), INTRO_VMCS12, (uint32_t)v->list.ref, value, e);
}

const struct view_ops view_vmcs = {.name = "vmcs", .title = "VMCS 01 12 02 shadow",
	.help = "every field of all VMCSs side by side; Enter decodes, m selects, p pins, e edits 12",
	.open = open_view, .close = close_view, .fill = fill, .act = act, .enter = enter};
