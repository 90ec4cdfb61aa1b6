/* machine/virtio.h: a small driver against the transport and the queues,
 * honest and hostile.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bus.h"
#include "base/phys.h"
#include "machine/machine.h"
#include "machine/virtio.h"

#include <string.h>

enum { DESC = 0x10000, AVAIL = 0x11000, USED = 0x12000, DATA = 0x20000, QUEUE = 8 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

struct driver {
	struct machine *m;
	struct virtio v;
	uint64_t bar;
	unsigned notified, served;
};

static void notified(void *dev, unsigned queue)
{
	struct driver *d = dev;
	d->notified++;
	while (virtio_pop(&d->v, queue)) {
		uint8_t b[64];
		size_t n = d->v.chain.readable < 64 ? (size_t)d->v.chain.readable : 64;
		if (!virtio_get(&d->v, 0, b, n))
			virtio_broken(&d->v, "read");
		for (size_t i = 0; i < n; i++)
			b[i] ^= 0xff;
		if (n > d->v.chain.writable)
			n = (size_t)d->v.chain.writable;
		if (!virtio_put(&d->v, 0, b, n))
			virtio_broken(&d->v, "write");
		d->served++;
		virtio_push(&d->v, queue, d->v.chain.head, (uint32_t)n);
	}
}

static void config_read(void *dev, unsigned offset, uint8_t *out, unsigned size)
{
	(void)dev;
	memset(out, (int)(0x40 + offset), size);
}

static const struct virtio_ops ops = {.notify = notified, .config_read = config_read};

static void common(struct driver *d, unsigned at, unsigned size, uint64_t v)
{
	bus_mmio_write(&d->m->bus, hpa(d->bar + at), size, v);
}

static uint64_t get(struct driver *d, unsigned at, unsigned size)
{
	return bus_mmio_read(&d->m->bus, hpa(d->bar + at), size);
}

static void put(struct driver *d, uint64_t at, const void *p, size_t n)
{
	assert_true(phys_write(&d->m->phys, hpa(at), p, n));
}

static void desc(struct driver *d, uint64_t table, unsigned i, uint64_t at, uint32_t len,
	uint16_t flags, uint16_t next)
{
	struct {
		uint64_t at;
		uint32_t len;
		uint16_t flags, next;
	} raw = {at, len, flags, next};
	put(d, table + 16 * i, &raw, 16);
}

static void offer(struct driver *d, uint16_t head, uint16_t index)
{
	put(d, AVAIL + 4 + 2 * ((index - 1u) % QUEUE), &head, 2);
	put(d, AVAIL + 2, &index, 2);
	common(d, 0x3000, 2, 0);
}

static uint16_t used(struct driver *d)
{
	uint16_t v;
	assert_true(phys_read(&d->m->phys, hpa(USED + 2), &v, 2));
	return v;
}

static void start(struct driver *d)
{
	static const uint8_t zero[4096];
	put(d, DESC, zero, 4096);
	put(d, AVAIL, zero, 4096);
	put(d, USED, zero, 4096);
	common(d, 20, 1, 0);
	common(d, 20, 1, 3);
	common(d, 8, 4, 1);
	common(d, 12, 4, 1); /* VERSION_1 */
	common(d, 20, 1, 11);
	assert_int_equal(get(d, 20, 1), 11);
	common(d, 22, 2, 0);
	common(d, 24, 2, QUEUE);
	common(d, 32, 4, DESC);
	common(d, 40, 4, AVAIL);
	common(d, 48, 8, USED);
	common(d, 28, 2, 1);
	common(d, 20, 1, 15);
}

static void setup(struct driver *d)
{
	memset(d, 0, sizeof(*d));
	struct machine_config cfg = {.mem = UINT64_C(16) << 20, .cpus = 1, .rtc = MACHINE_RTC};
	struct err e = {0};
	d->m = machine_new(&cfg, &e);
	assert_non_null(d->m);
	virtio_init(&d->v, d->m, VIRTIO_ID_RNG, 1, 16, 0, &ops, d, "test");
	machine_firmware(d->m);
	assert_true(pci_bar_at(d->v.pci, 4, &d->bar));
	start(d);
}

static void test_request(void **ctx)
{
	(void)ctx;
	struct driver d;
	setup(&d);
	uint8_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
	put(&d, DATA, in, 8);
	desc(&d, DESC, 0, DATA, 5, NEXT, 3);
	desc(&d, DESC, 3, DATA + 5, 3, NEXT, 4);
	desc(&d, DESC, 4, DATA + 0x100, 2, NEXT | WRITE, 5);
	desc(&d, DESC, 5, DATA + 0x102, 6, WRITE, 0);
	offer(&d, 0, 1);
	assert_int_equal(used(&d), 1);
	assert_true(phys_read(&d.m->phys, hpa(DATA + 0x100), out, 8));
	for (int i = 0; i < 8; i++)
		assert_int_equal(out[i], in[i] ^ 0xff);
	assert_int_equal(get(&d, 0x1000, 1), 1); /* ISR */
	assert_int_equal(get(&d, 0x1000, 1), 0); /* reading clears */
	assert_int_equal(get(&d, 0x2000, 1), 0x40);
	/* the same by an indirect table */
	desc(&d, DATA + 0x200, 0, DATA, 8, NEXT, 1);
	desc(&d, DATA + 0x200, 1, DATA + 0x300, 8, WRITE, 0);
	desc(&d, DESC, 1, DATA + 0x200, 32, INDIRECT, 0);
	offer(&d, 1, 2);
	assert_int_equal(used(&d), 2);
	assert_true(phys_read(&d.m->phys, hpa(DATA + 0x300), out, 8));
	assert_int_equal(out[7], 8 ^ 0xff);
	machine_free(d.m);
}

struct heard {
	unsigned reads, writes;
	uint8_t before; /* what memory held when a write was told */
	struct machine *m;
};

static void hear(void *ctx, struct hpa at, size_t len, bool write)
{
	struct heard *h = ctx;
	if (at.v > DATA + 0x300 || at.v + len <= DATA)
		return; /* the rings */
	*(write ? &h->writes : &h->reads) += 1;
	if (write)
		assert_true(phys_read(&h->m->phys, at, &h->before, 1));
}

static void test_accesses_are_told(void **ctx)
{
	struct driver d;
	struct heard h = {.before = 1};
	uint8_t in[4] = {1, 2, 3, 4};
	(void)ctx;
	setup(&d);
	put(&d, DATA, in, 4);
	h.m = d.m;
	d.m->phys.device = hear;
	d.m->phys.device_ctx = &h;
	desc(&d, DESC, 0, DATA, 4, NEXT, 1);
	desc(&d, DESC, 1, DATA + 0x100, 4, WRITE, 0);
	offer(&d, 0, 1);
	assert_int_equal(used(&d), 1);
	assert_int_equal(h.reads, 1);
	assert_int_equal(h.writes, 1);
	assert_int_equal(h.before, 0);
	machine_free(d.m);
}

static void test_features_are_wanted(void **ctx)
{
	(void)ctx;
	struct driver d;
	setup(&d);
	common(&d, 20, 1, 0);
	common(&d, 20, 1, 11);
	assert_int_equal(get(&d, 20, 1) & 8, 0); /* no VERSION_1, no FEATURES_OK */
	machine_free(d.m);
}

/* Each leaves the device asking for a reset, and it works after one. */
static void hostile(void (*attack)(struct driver *d))
{
	struct driver d;
	setup(&d);
	attack(&d);
	assert_true(get(&d, 20, 1) & 0x40);
	unsigned served = d.served;
	common(&d, 0x3000, 2, 0);
	assert_int_equal(d.served, served);
	start(&d);
	desc(&d, DESC, 0, DATA, 4, NEXT, 1);
	desc(&d, DESC, 1, DATA + 8, 4, WRITE, 0);
	offer(&d, 0, 1);
	assert_int_equal(used(&d), 1);
	machine_free(d.m);
}

static void circle(struct driver *d)
{
	desc(d, DESC, 0, DATA, 1, NEXT, 1);
	desc(d, DESC, 1, DATA, 1, NEXT, 0);
	offer(d, 0, 1);
}

static void beyond_table(struct driver *d)
{
	desc(d, DESC, 0, DATA, 1, NEXT, QUEUE);
	offer(d, 0, 1);
}

static void head_beyond(struct driver *d)
{
	offer(d, 0xffff, 1);
}

static void beyond_ram(struct driver *d)
{
	desc(d, DESC, 0, UINT64_C(0x7ffffffff000), 0xffffffff, 0, 0);
	offer(d, 0, 1);
}

static void private_memory(struct driver *d)
{
	desc(d, DESC, 0, PHYS_PRIVATE, 16, WRITE, 0);
	offer(d, 0, 1);
}

static void wraps(struct driver *d)
{
	desc(d, DESC, 0, UINT64_MAX - 2, 16, 0, 0);
	offer(d, 0, 1);
}

static void too_many(struct driver *d)
{
	offer(d, 0, QUEUE + 1);
}

static void nested_indirect(struct driver *d)
{
	desc(d, DATA, 0, DATA, 16, INDIRECT, 0);
	desc(d, DESC, 0, DATA, 16, INDIRECT, 0);
	offer(d, 0, 1);
}

static void huge_indirect(struct driver *d)
{
	desc(d, DESC, 0, DATA, 0xfffffff0, INDIRECT, 0);
	offer(d, 0, 1);
}

static void write_before_read(struct driver *d)
{
	desc(d, DESC, 0, DATA, 4, NEXT | WRITE, 1);
	desc(d, DESC, 1, DATA, 4, 0, 0);
	offer(d, 0, 1);
}

static void rings_nowhere(struct driver *d)
{
	d->v.queue[0].driver = UINT64_C(0xfffffffffffff000);
	common(d, 0x3000, 2, 0);
}

static void test_hostile(void **ctx)
{
	(void)ctx;
	static void (*const attacks[])(struct driver * d) = {circle, beyond_table, head_beyond,
		beyond_ram, private_memory, wraps, too_many, nested_indirect, huge_indirect,
		write_before_read, rings_nowhere};
	for (unsigned i = 0; i < sizeof(attacks) / sizeof(*attacks); i++)
		hostile(attacks[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_request), cmocka_unit_test(test_accesses_are_told),
		cmocka_unit_test(test_features_are_wanted), cmocka_unit_test(test_hostile)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
