/* VMCSs of the live machine. */
#include "introspect/live_machine.h"

#include "vmx/controls.h"

/* Whether a place has the VMCS; for 02 and shadow its vCPU must hold L2's. */
static const struct vmcs *find(struct live *v, struct place at, enum intro_vmcs which, bool *live)
{
	struct nested_vcpu *nv = live_nested(v, at.vcpu);
	struct nested_vmcs12 *m = nv ? live_vmcs12(v, at) : NULL;
	bool l2 = v->l->vcpu[at.vcpu].level >= 2;
	*live = false;
	if (!nv)
		return NULL;
	switch (which) {
	case INTRO_VMCS01:
		*live = !l2;
		return &nv->vmcs01;
	case INTRO_VMCS12:
		if (m && m == nv->cur && nv->shadow.dirty)
			return &nv->shadow; /* L1's last writes are there */
		return m ? &m->v : NULL;
	case INTRO_VMCS02:
		*live = l2;
		return m && m == nv->cur && m->seen ? &nv->vmcs02 : NULL;
	default:
		return m && m == nv->cur && v->n->opt->use[L0_USE_SHADOW_VMCS] ? &nv->shadow : NULL;
	}
}

bool live_vmcs_region(void *ctx, struct place at, enum intro_vmcs which, uint64_t *out)
{
	struct live *v = ctx;
	bool live;
	const struct vmcs *x = find(v, at, which, &live);
	const struct nested_vmcs12 *m = x ? live_vmcs12(v, at) : NULL;
	if (!x)
		return false;
	*out = which == INTRO_VMCS12 && m ? m->at : x->at.v;
	return true;
}

static bool is_guest_state(uint32_t encoding)
{
	return vmcs_encoding_type(encoding) == VMCS_TYPE_GUEST;
}

bool live_vmcs_get(void *ctx, struct place at, enum intro_vmcs which, uint32_t encoding,
	struct intro_vmcs_value *out)
{
	struct live *v = ctx;
	bool live;
	const struct vmcs *x = find(v, at, which, &live);
	const struct nested_vmcs12 *m = live_vmcs12(v, at);
	int f = vmcs_find(encoding);
	if (!x || f < 0)
		return false;
	*out = (struct intro_vmcs_value){.value = x->v[f], .live = live,
		.as_of = m ? m->reflected.at.clock : v->l->clock->now};
	if (live && is_guest_state(encoding)) {
		/* guest state lives in the processor meanwhile */
		struct vmcs now = *x;
		vmx_save_guest_state(live_cpu(v, at.vcpu), &now);
		out->value = now.v[f];
	}
	return true;
}

enum intro_writer live_writer_kind(uint8_t kind)
{
	switch (kind) {
	case NESTED_BY_VMWRITE: return WRITER_VMWRITE;
	case NESTED_BY_SHADOW: return WRITER_SHADOWED;
	case NESTED_BY_L0: return WRITER_L0;
	case NESTED_BY_TOOL: return WRITER_DEBUGGER;
	case NESTED_BY_PLUGIN: return WRITER_PLUGIN;
	default: return WRITER_NONE;
	}
}

bool live_vmcs_writer(void *ctx, struct place at, uint32_t encoding, struct intro_vmcs_write *out)
{
	struct live *v = ctx;
	const struct nested_vmcs12 *m = live_vmcs12(v, at);
	int f = vmcs_find(encoding);
	if (!m || f < 0)
		return false;
	struct nested_writer w = vmcs12_writer(m, (enum vmcs_field)f);
	*out = (struct intro_vmcs_write){.at = w.at, .encoding = encoding,
		.writer = live_writer_kind(w.kind), .vcpu = w.vcpu, .vmcs12 = m->at, .rip = w.rip,
		.cr3 = w.cr3, .value = vmcs_get(&m->v, (enum vmcs_field)f)};
	return w.kind != NESTED_BY_NOBODY;
}

bool live_vmcs_write_at(void *ctx, size_t i, struct intro_vmcs_write *out)
{
	struct live *v = ctx;
	if (i >= v->writes || i >= LIVE_WRITES)
		return false;
	*out = v->write[(v->writes - 1 - i) % LIVE_WRITES];
	return true;
}

/* A clear bit of L0's bitmap lets the shadow VMCS serve the access: SDM Vol.
 * 3C 24.6.15 "VMCS Shadowing Bitmap Addresses". */
static bool served(struct live *v, uint64_t bitmap, uint32_t encoding)
{
	const uint8_t *bits = private_host(&v->n->mem, bitmap);
	return !(bits[(encoding & 0x7fff) / 8] >> (encoding & 7) & 1);
}

bool live_vmcs_origin(void *ctx, struct place at, uint32_t encoding, struct intro_vmcs_origin *out)
{
	struct live *v = ctx;
	const struct nested_vcpu *nv = live_nested(v, at.vcpu);
	int f = vmcs_find(encoding);
	const char *why = NULL;
	if (f < 0 || !nv)
		return false;
	*out = (struct intro_vmcs_origin){.rule = "as L1 wrote it in VMCS12"};
	for (unsigned bit = 0; bit < 8 * vmcs_bytes((enum vmcs_field)f); bit++) {
		switch (vmcs02_origin(nv, (enum vmcs_field)f, bit, &why)) {
		case SOURCE_L1:
			out->from_l1 |= BIT(bit);
			continue;
		case SOURCE_L0:
			out->from_l0 |= BIT(bit);
			break;
		default:
			out->merged |= BIT(bit);
		}
		out->rule = why;
	}
	if (v->n->opt->use[L0_USE_SHADOW_VMCS]) {
		out->shadowed_read = served(v, nv->vmread_bitmap, encoding);
		out->shadowed_write = served(v, nv->vmwrite_bitmap, encoding);
	}
	return true;
}
