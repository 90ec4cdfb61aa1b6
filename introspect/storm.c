/* The storm alarm: is this count normal, and what would remove it? */
#include "introspect/private.h"

#include <stdio.h>
#include <string.h>

#define STORM_DEFAULT 1000000 /* exits per virtual second */
#define STORM_WINDOW  16384   /* the last records looked at */

/* 1234567 as "1,234,567". */
static const char *grouped(uint64_t v, char out[32])
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)v), o = 0;
	for (int i = 0; i < n; i++) {
		out[o++] = digits[i];
		if ((n - 1 - i) % 3 == 0 && i != n - 1)
			out[o++] = ',';
	}
	out[o] = 0;
	return out;
}

struct tally {
	uint64_t seen, vmx_access, shadowable, reason[128];
	uint64_t first_clock, last_clock;
	struct exit_record last[128];
};

static void tally(struct intro *s, struct tally *t)
{
	uint64_t first, end;
	struct exit_record r;
	intro_exits_range(s, &first, &end);
	uint64_t from = end > STORM_WINDOW && end - STORM_WINDOW > first ? end - STORM_WINDOW : first;
	for (uint64_t q = from; q < end; q++) {
		if (!intro_exit(s, q, &r) || r.kind == EXIT_ENTRY || r.kind == EXIT_ENTRY_FAIL)
			continue;
		if (!t->seen++)
			t->first_clock = r.at.clock;
		t->last_clock = r.at.clock;
		uint32_t reason = r.reason & 127;
		t->reason[reason]++;
		t->last[reason] = r;
		const char *name = exit_reason_name(reason);
		if (r.from == LEVEL_L1 && (!strcmp(name, "VMREAD") || !strcmp(name, "VMWRITE"))) {
			t->vmx_access++;
			const struct intro_field *f = intro_field_by_encoding((uint32_t)r.detail);
			t->shadowable += f && (f->group != FIELD_CONTROL || f->size < 8);
		}
	}
}

static const struct {
	const char *reason, *remedy;
} remedies[] = {
#define REMEDY(reason, text) {#reason, text},
#include "introspect/remedies.def"
#undef REMEDY
};

static void explain(struct exit_storm *out, const struct tally *t, uint32_t top)
{
	char a[32], b[32];
	const char *name = exit_reason_name(top);
	if (t->vmx_access * 2 > t->seen) {
		snprintf(out->cause, sizeof out->cause, "%s of %s exits are VMREAD/VMWRITE by L1",
			grouped(t->vmx_access, a), grouped(t->seen, b));
		if (t->shadowable)
			snprintf(out->remedy, sizeof out->remedy,
				"VMCS shadowing (--l0 use.shadow-vmcs=on) would serve %s",
				grouped(t->shadowable, a));
		return;
	}
	struct buf d = {0};
	exit_detail_print(&t->last[top], &d);
	snprintf(out->cause, sizeof out->cause, "%s of %s exits are %s by %s%s%s",
		grouped(t->reason[top], a), grouped(t->seen, b), name,
		t->last[top].from == LEVEL_L1 ? "L1" : "L2", d.len ? ", latest: " : "",
		d.len ? d.data : "");
	buf_done(&d);
	for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
		if (!strcmp(remedies[i].reason, name))
			snprintf(out->remedy, sizeof out->remedy, "%s", remedies[i].remedy);
}

void intro_exit_storm(struct intro *s, struct exit_storm *out)
{
	struct tally t = {0};
	uint32_t top = 0;
	memset(out, 0, sizeof *out);
	tally(s, &t);
	out->threshold = stats_threshold(s);
	if (!out->threshold)
		out->threshold = STORM_DEFAULT;
	out->window = t.seen;
	if (!t.seen)
		return;
	uint64_t span = t.last_clock - t.first_clock;
	out->per_second = span ? (uint64_t)((double)t.seen * 1e9 / (double)span) : 0;
	for (uint32_t i = 1; i < 128; i++)
		if (t.reason[i] > t.reason[top])
			top = i;
	const struct exit_record *r = &t.last[top];
	out->top = (struct exit_stat){.level = r->from, .handler = r->handler, .kind = r->kind,
		.reason = top, .detail = UINT64_MAX, .rip = UINT64_MAX, .cr3 = UINT64_MAX,
		.count = t.reason[top], .last = r->seq};
	out->of_top = t.reason[top];
	out->storming = t.seen >= 100 && out->per_second > out->threshold;
	explain(out, &t, top);
}
