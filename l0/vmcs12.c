/* The VMCSs of L1: cache, write-back, last writers, the shadow VMCS. */
#include "l0/nested.h"

#include "l0/shadow/vcpu.h"

#include <string.h>

struct nested_vmcs12 *vmcs12_find(const struct nested *n, uint64_t at)
{
	for (unsigned i = 0; i < NESTED_VMCS12S; i++)
		if (at != NESTED_NONE && n->vmcs12[i].at == at)
			return &n->vmcs12[i];
	return NULL;
}

/* An L2 runs on it: it stays as it is. */
static bool running(const struct nested *n, const struct nested_vmcs12 *m)
{
	return m->vcpu >= 0 && n->vcpu[m->vcpu].l0v->level == 2;
}

/* A slot for `at`: its own, a free one, or the one out of use for longest. L1
 * may make current here what runs an L2 elsewhere, with undefined results: they
 * are two caches then. */
static struct nested_vmcs12 *slot(struct nested *n, uint64_t at)
{
	struct nested_vmcs12 *m = NULL, *oldest = NULL;

	for (unsigned i = 0; !m && i < NESTED_VMCS12S; i++)
		if (n->vmcs12[i].at == at && !running(n, &n->vmcs12[i]))
			m = &n->vmcs12[i];
	for (unsigned i = 0; !m && i < NESTED_VMCS12S; i++) {
		struct nested_vmcs12 *o = &n->vmcs12[i];
		if (o->vcpu < 0 && (!oldest || o->at == NESTED_NONE ||
					   (oldest->at != NESTED_NONE && o->used < oldest->used)))
			oldest = o;
	}
	if (!m) {
		m = oldest; /* at most one is current per vCPU: there is always one */
		memset(m, 0, sizeof(*m));
		m->at = at;
		m->vcpu = -1;
	}
	m->used = ++n->stamp;
	return m;
}

void vmcs12_from_shadow(struct nested_vcpu *nv)
{
	if (!nv->cur || !nv->shadow.dirty)
		return;
	memcpy(nv->cur->v.v, nv->shadow.v, sizeof(nv->shadow.v));
	nv->cur->v.dirty |= nv->shadow.dirty;
	nv->shadow.dirty = 0;
}

void vmcs12_to_shadow(struct nested_vcpu *nv)
{
	if (!nv->cur)
		return;
	memcpy(nv->shadow.v, nv->cur->v.v, sizeof(nv->shadow.v));
	nv->shadow.dirty = 0;
}

/* What a region in L1's memory says; absent memory reads as ones. */
static void load(struct nested *n, struct vmcs *v, uint64_t at)
{
	uint8_t page[VMCS_SIZE];

	memset(page, 0xff, sizeof(page));
	phys_read(&n->l->machine->phys, hpa(at), page, sizeof(page));
	vmcs_init(v, hpa(at));
	vmcs12_load(v, page);
	v->dirty = 0xf;
}

void vmcs12_write_back(struct nested_vcpu *nv)
{
	struct phys *phys = &nv->n->l->machine->phys;
	uint8_t page[VMCS_SIZE];

	if (!nv->cur)
		return;
	vmcs12_from_shadow(nv);
	if (!phys_read(phys, hpa(nv->cur->at), page, sizeof(page)))
		return;
	vmcs12_store(&nv->cur->v, page);
	phys_write(phys, hpa(nv->cur->at), page, sizeof(page));
}

void vmcs12_make_current(struct nested_vcpu *nv, uint64_t at)
{
	struct nested *n = nv->n;

	if (nv->cur) {
		vmcs12_write_back(nv);
		nv->cur->vcpu = -1;
	}
	nv->cur = NULL;
	nv->merged = false;
	if (at != NESTED_NONE) {
		struct nested_vmcs12 *m = slot(n, at);
		if (m->vcpu >= 0) { /* L1 left it current elsewhere: undefined, ours to keep apart */
			struct nested_vcpu *other = &n->vcpu[m->vcpu];
			vmcs12_write_back(other);
			other->cur = NULL;
			other->merged = false;
			vmcs01_update(other);
		}
		load(n, &m->v, at);
		m->vcpu = (int32_t)nv->c->id;
		nv->cur = m;
		vmcs12_to_shadow(nv);
	}
	vmcs01_update(nv);
}

static struct nested_writer writer_now(
	const struct nested_vcpu *nv, enum nested_writer_kind kind)
{
	return (struct nested_writer){.at = l0_position(nv->n->l),
		.rip = nv->c->rip,
		.cr3 = shadow_cr3_of(nv, 1),
		.vcpu = (uint8_t)nv->c->id,
		.kind = kind};
}

static void tell(struct nested_vcpu *nv, enum vmcs_field f, uint64_t old, uint64_t v)
{
	struct l0_event ev = {.kind = L0_EV_VMCS_WRITE,
		.vcpu = (uint8_t)nv->c->id,
		.level = 1,
		.number = vmcs_encoding(f),
		.at = nv->cur->at,
		.old = old,
		.new_ = v};

	if (l0_observed(nv->n->l, L0_EV_VMCS_WRITE))
		l0_tell(nv->n->l, &ev);
}

void vmcs12_put(struct nested_vcpu *nv, enum vmcs_field f, uint64_t v, enum nested_writer_kind k)
{
	uint64_t old = vmcs_get(&nv->cur->v, f);

	vmcs_set(&nv->cur->v, f, v);
	nv->shadow.v[f] = nv->cur->v.v[f];
	nv->cur->writer[f] = writer_now(nv, k);
	tell(nv, f, old, nv->cur->v.v[f]);
}

/* VMWRITEs that the shadow VMCS served. */
void vmcs12_shadow_wrote(
	void *ctx, struct vcpu *c, struct vmcs *shadow, enum vmcs_field f, uint64_t old)
{
	struct nested_vcpu *nv = ctx;

	(void)c;
	if (!nv->cur || shadow != &nv->shadow)
		return;
	nv->cur->writer[f] = writer_now(nv, NESTED_BY_SHADOW);
	tell(nv, f, old, shadow->v[f]);
}

static bool later(struct position a, struct position b)
{
	return a.clock > b.clock || (a.clock == b.clock && a.ordinal > b.ordinal);
}

struct nested_writer vmcs12_writer(const struct nested_vmcs12 *m, enum vmcs_field f)
{
	enum vmcs_type t = vmcs_encoding_type(vmcs_encoding(f));

	if ((t == VMCS_TYPE_GUEST || t == VMCS_TYPE_READ_ONLY) &&
		m->reflected.kind != NESTED_BY_NOBODY && later(m->reflected.at, m->writer[f].at))
		return m->reflected;
	return m->writer[f];
}
