#include "machine/fw_cfg.h"

#include "base/buf.h"
#include "base/bus.h"
#include "base/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS    128
#define ITEM_MAX (UINT64_C(256) << 20)
#define NAME_MAX_ 56

struct item {
	uint16_t key;
	char name[NAME_MAX_]; /* of a file; else empty */
	size_t len;
	uint8_t *data; /* owned */
};

struct fw_cfg {
	struct item item[ITEMS];
	unsigned items;
	uint16_t key;
	uint32_t offset; /* next byte of the selected item */
};

static struct item *find(struct fw_cfg *f, uint16_t key)
{
	for (unsigned i = 0; i < f->items; i++)
		if (f->item[i].key == key)
			return &f->item[i];
	return NULL;
}

static struct item *set(struct fw_cfg *f, uint16_t key, const void *data, size_t len)
{
	struct item *i = find(f, key);
	if (!i) {
		assert(f->items < ITEMS);
		i = &f->item[f->items++];
		*i = (struct item){.key = key};
	}
	free(i->data);
	i->data = xalloc(len ? len : 1);
	memcpy(i->data, data, len);
	i->len = len;
	return i;
}

void fw_cfg_item(struct fw_cfg *f, uint16_t key, const void *data, size_t len)
{
	set(f, key, data, len);
}

static void be(struct buf *b, unsigned size, uint64_t v)
{
	while (size--)
		buf_char(b, (char)(v >> 8 * size));
}

/* The directory: a count, then size, selector and name of each file, all
 * big-endian. */
static void write_directory(struct fw_cfg *f)
{
	struct buf b = {0};
	unsigned n = 0;
	for (unsigned i = 0; i < f->items; i++)
		n += f->item[i].name[0] != 0;
	be(&b, 4, n);
	for (unsigned i = 0; i < f->items; i++) {
		const struct item *it = &f->item[i];
		if (!it->name[0])
			continue;
		be(&b, 4, it->len);
		be(&b, 2, it->key);
		be(&b, 2, 0);
		buf_add(&b, it->name, NAME_MAX_);
	}
	set(f, FW_CFG_FILE_DIR, b.data, b.len);
	buf_done(&b);
}

void fw_cfg_file(struct fw_cfg *f, const char *name, const void *data, size_t len)
{
	uint16_t key = FW_CFG_FILE_FIRST;
	assert(strlen(name) < NAME_MAX_);
	for (unsigned i = 0; i < f->items; i++) {
		if (!strcmp(f->item[i].name, name)) {
			key = f->item[i].key;
			break;
		}
		if (f->item[i].key >= key)
			key = (uint16_t)(f->item[i].key + 1);
	}
	struct item *it = set(f, key, data, len);
	memset(it->name, 0, sizeof(it->name));
	memcpy(it->name, name, strlen(name));
	write_directory(f);
}

/* 510h selects; 511h gives one byte after the other, zeros past the end. */
static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
	struct fw_cfg *f = dev;
	if (offset != 1 || size != 1)
		return 0;
	const struct item *i = find(f, f->key);
	return i && f->offset < i->len ? i->data[f->offset++] : 0;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct fw_cfg *f = dev;
	if (offset || size != 2)
		return;
	f->key = v & 0x3fff;
	f->offset = 0;
}

/* No DMA interface: its address register reads as not there. */
static uint64_t dma_read(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0;
}

static void dma_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	(void)dev;
	(void)offset;
	(void)size;
	(void)v;
}

static const struct bus_ops ops = {port_read, port_write};
static const struct bus_ops dma_ops = {dma_read, dma_write};

struct fw_cfg *fw_cfg_new(struct bus *bus)
{
	static const uint8_t id[4] = {1}, none[4];
	struct fw_cfg *f = xalloc(sizeof(*f));
	fw_cfg_item(f, FW_CFG_SIGNATURE, "QEMU", 4);
	fw_cfg_item(f, FW_CFG_ID, id, sizeof(id));
	fw_cfg_item(f, FW_CFG_FILE_DIR, none, sizeof(none));
	bus_map_port(bus, 0x510, 2, &ops, f, "fw_cfg");
	bus_map_port(bus, 0x514, 8, &dma_ops, f, "fw_cfg dma");
	return f;
}

static void drop(struct fw_cfg *f)
{
	for (unsigned i = 0; i < f->items; i++)
		free(f->item[i].data);
	f->items = 0;
}

void fw_cfg_free(struct fw_cfg *f)
{
	if (f)
		drop(f);
	free(f);
}

void fw_cfg_reset(struct fw_cfg *f)
{
	f->key = 0;
	f->offset = 0;
}

static void item_state(struct item *i, struct state *s)
{
	uint64_t len = i->len;
	state_u16(s, &i->key);
	state_bytes(s, i->name, sizeof(i->name));
	i->name[NAME_MAX_ - 1] = 0;
	state_count(s, &len, ITEM_MAX);
	if (state_mode(s) == STATE_LOAD && state_ok(s)) {
		i->data = xalloc(len ? len : 1);
		i->len = len;
	}
	if (i->data)
		state_bytes(s, i->data, i->len);
}

void fw_cfg_state(struct fw_cfg *f, struct state *s)
{
	state_section(s, "fw_cfg", 1);
	state_u16(s, &f->key);
	state_u32(s, &f->offset);
	uint64_t n = f->items;
	state_count(s, &n, ITEMS);
	if (state_mode(s) == STATE_LOAD) {
		if (!state_ok(s))
			return;
		drop(f);
		memset(f->item, 0, sizeof(f->item));
		f->items = (unsigned)n;
	}
	for (unsigned i = 0; i < f->items; i++)
		item_state(&f->item[i], s);
}
