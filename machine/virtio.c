/* virtio 1.0, 4.1 "Virtio Over PCI Bus": windows, status, interrupts. */
#include "machine/virtio.h"

#include "base/log.h"
#include "base/state.h"
#include "machine/machine.h"

#include <assert.h>
#include <string.h>

enum { BAR_MSIX = 1, BAR_WINDOWS = 4, WINDOW = 0x1000, NOTIFY_STEP = 4 };
enum { WIN_COMMON, WIN_ISR, WIN_DEVICE, WIN_NOTIFY, WIN_COUNT };
enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI };
enum { STATUS_FEATURES_OK = 8, STATUS_NEEDS_RESET = 0x40 };
enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

static void reset(struct virtio *v)
{
	v->accepted = 0;
	v->feature_select[0] = v->feature_select[1] = 0;
	v->config_vector = VIRTIO_NO_VECTOR;
	v->queue_select = 0;
	v->status = v->isr = 0;
	memset(v->queue, 0, sizeof(v->queue));
	for (unsigned i = 0; i < v->queues; i++) {
		v->queue[i].size = VIRTIO_QUEUE_SIZE;
		v->queue[i].vector = VIRTIO_NO_VECTOR;
	}
	pci_irq(v->pci, false);
	if (v->ops->reset)
		v->ops->reset(v->dev);
}

void virtio_interrupt(struct virtio *v, uint8_t isr, uint16_t vector)
{
	if (pci_msix_enabled(v->pci)) {
		if (vector != VIRTIO_NO_VECTOR)
			pci_msix_notify(v->pci, vector);
		return;
	}
	v->isr |= isr;
	pci_irq(v->pci, true);
}

void virtio_config_changed(struct virtio *v)
{
	v->generation++;
	virtio_interrupt(v, ISR_CONFIG, v->config_vector);
}

void virtio_broken(struct virtio *v, const char *why)
{
	log_once(v->m->log, LOG_WARN, "virtio", (uintptr_t)why, "%s: the driver's request is broken: %s",
		pci_name(v->pci), why);
	v->status |= STATUS_NEEDS_RESET;
	virtio_config_changed(v);
}

static uint32_t half(uint64_t v, unsigned high)
{
	return (uint32_t)(high ? v >> 32 : v);
}

/* 4.1.4.3 "Common configuration structure layout", as aligned 32-bit words. */
static uint32_t common_word(struct virtio *v, unsigned word)
{
	static const struct virtio_queue none = {.vector = VIRTIO_NO_VECTOR};
	unsigned n = v->queue_select;
	const struct virtio_queue *q = n < v->queues ? &v->queue[n] : &none;
	switch (word * 4) {
	case 0: return v->feature_select[0];
	case 4: return v->feature_select[0] < 2 ? half(v->offered, v->feature_select[0]) : 0;
	case 8: return v->feature_select[1];
	case 12: return v->feature_select[1] < 2 ? half(v->accepted, v->feature_select[1]) : 0;
	case 16: return v->config_vector | v->queues << 16;
	case 20: return v->status | (uint32_t)v->generation << 8 | (uint32_t)v->queue_select << 16;
	case 24: return q->size | (uint32_t)q->vector << 16;
	case 28: return q->enabled | (n < v->queues ? n << 16 : 0);
	case 32: return half(q->desc, 0);
	case 36: return half(q->desc, 1);
	case 40: return half(q->driver, 0);
	case 44: return half(q->driver, 1);
	case 48: return half(q->device, 0);
	case 52: return half(q->device, 1);
	default: return 0;
	}
}

static uint16_t vector_or_none(const struct virtio *v, uint32_t vector)
{
	return vector <= v->queues ? (uint16_t)vector : VIRTIO_NO_VECTOR;
}

static void set_status(struct virtio *v, uint8_t status)
{
	if (!status) {
		reset(v);
		return;
	}
	if ((status & STATUS_FEATURES_OK) && !(v->accepted & VIRTIO_F_VERSION_1))
		status &= (uint8_t)~STATUS_FEATURES_OK;
	v->status = (uint8_t)(status | (v->status & STATUS_NEEDS_RESET));
}

static void set_half(uint64_t *v, unsigned high, uint32_t value)
{
	*v = high ? (*v & 0xffffffff) | (uint64_t)value << 32 : (*v & ~UINT64_C(0xffffffff)) | value;
}

static void queue_write(struct virtio *v, unsigned offset, uint32_t value)
{
	struct virtio_queue *q = &v->queue[v->queue_select];
	switch (offset) {
	case 24:
		if (value && value <= VIRTIO_QUEUE_SIZE && !(value & (value - 1)))
			q->size = (uint16_t)value;
		break;
	case 26: q->vector = vector_or_none(v, value); break;
	case 28: q->enabled = q->enabled || value == 1; break;
	case 32: case 36: set_half(&q->desc, offset & 4, value); break;
	case 40: case 44: set_half(&q->driver, offset & 4, value); break;
	case 48: case 52: set_half(&q->device, offset & 4, value); break;
	}
}

static void common_write(struct virtio *v, unsigned offset, uint32_t value)
{
	switch (offset) {
	case 0: v->feature_select[0] = value; break;
	case 8: v->feature_select[1] = value; break;
	case 12:
		if (v->feature_select[1] < 2 && !(v->status & STATUS_FEATURES_OK))
			set_half(&v->accepted, v->feature_select[1], value);
		v->accepted &= v->offered;
		break;
	case 16: v->config_vector = vector_or_none(v, value); break;
	case 20: set_status(v, (uint8_t)value); break;
	case 22: v->queue_select = (uint16_t)value; break;
	default:
		if (v->queue_select < v->queues)
			queue_write(v, offset, value);
	}
}

static uint64_t common_read(struct virtio *v, unsigned offset, unsigned size)
{
	uint64_t raw = common_word(v, offset / 4);
	if (offset % 4 + size > 4)
		raw |= (uint64_t)common_word(v, offset / 4 + 1) << 32;
	return raw >> (offset % 4 * 8);
}

static uint64_t device_read(struct virtio *v, unsigned offset, unsigned size)
{
	uint64_t raw = 0;
	uint8_t bytes[8] = {0};
	if (offset + size <= v->config_size)
		v->ops->config_read(v->dev, offset, bytes, size);
	for (unsigned i = 0; i < size; i++)
		raw |= (uint64_t)bytes[i] << 8 * i;
	return raw;
}

static uint64_t bar_read(void *dev, unsigned bar, uint64_t at, unsigned size)
{
	struct virtio *v = dev;
	unsigned offset = at % WINDOW;
	if (bar != BAR_WINDOWS)
		return UINT64_MAX;
	switch (at / WINDOW) {
	case WIN_COMMON:
		return common_read(v, offset, size);
	case WIN_ISR: {
		uint8_t isr = offset ? 0 : v->isr;
		if (!offset) {
			v->isr = 0;
			pci_irq(v->pci, false);
		}
		return isr;
	}
	case WIN_DEVICE:
		return device_read(v, offset, size);
	default:
		return 0;
	}
}

static void notify(struct virtio *v, unsigned queue)
{
	if (queue < v->queues && v->queue[queue].enabled && virtio_running(v) && pci_bus_master(v->pci))
		v->ops->notify(v->dev, queue);
}

static void device_write(struct virtio *v, unsigned offset, unsigned size, uint64_t value)
{
	uint8_t bytes[8];
	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	if (v->ops->config_write && offset + size <= v->config_size)
		v->ops->config_write(v->dev, offset, bytes, size);
}

static void bar_write(void *dev, unsigned bar, uint64_t at, unsigned size, uint64_t value)
{
	struct virtio *v = dev;
	unsigned offset = at % WINDOW;
	if (bar != BAR_WINDOWS)
		return;
	switch (at / WINDOW) {
	case WIN_COMMON:
		if (size == 8) {
			common_write(v, offset, (uint32_t)value);
			common_write(v, offset + 4, (uint32_t)(value >> 32));
		} else {
			common_write(v, offset, (uint32_t)value);
		}
		break;
	case WIN_DEVICE:
		device_write(v, offset, size, value);
		break;
	case WIN_NOTIFY:
		notify(v, offset / NOTIFY_STEP);
		break;
	}
}

static void pci_was_reset(void *dev)
{
	reset(dev);
}

static const struct pci_ops ops = {.read = bar_read, .write = bar_write, .reset = pci_was_reset};

static void add_window(struct virtio *v, uint8_t type, unsigned window, unsigned len)
{
	uint8_t body[18] = {0};
	unsigned size = type == CAP_NOTIFY ? 18 : 14;
	uint32_t at = window * WINDOW, step = NOTIFY_STEP;
	body[0] = (uint8_t)(size + 2);
	body[1] = type;
	body[2] = BAR_WINDOWS;
	memcpy(body + 6, &at, 4);
	memcpy(body + 10, &len, 4);
	memcpy(body + 14, &step, 4);
	pci_capability(v->pci, 9, body, size);
}

void virtio_init(struct virtio *v, struct machine *m, enum virtio_id id, unsigned queues,
	unsigned config_size, uint64_t features, const struct virtio_ops *o, void *dev, const char *name)
{
	static const uint32_t class_code[] = {[VIRTIO_ID_NET] = 0x020000, [VIRTIO_ID_BLOCK] = 0x010000,
		[VIRTIO_ID_CONSOLE] = 0x078000, [VIRTIO_ID_RNG] = 0x00ff00};
	assert(queues <= VIRTIO_QUEUES);
	memset(v, 0, sizeof(*v));
	v->m = m;
	v->ops = o;
	v->dev = dev;
	v->queues = queues;
	v->config_size = config_size;
	v->offered = features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT;
	struct pci_ident ident = {.vendor = 0x1af4, .device = (uint16_t)(0x1040 + id),
		.sub_vendor = 0x1af4, .sub_device = 0x1100, .class_code = class_code[id], .revision = 1};
	v->pci = pci_add(m->pci, PCI_SLOT_ANY, &ident, &ops, v, name);
	pci_msix(v->pci, BAR_MSIX, queues + 1);
	pci_bar(v->pci, BAR_WINDOWS, WIN_COUNT * WINDOW, PCI_BAR_64);
	add_window(v, CAP_COMMON, WIN_COMMON, 56);
	add_window(v, CAP_ISR, WIN_ISR, 1);
	if (config_size)
		add_window(v, CAP_DEVICE, WIN_DEVICE, config_size);
	add_window(v, CAP_NOTIFY, WIN_NOTIFY, queues * NOTIFY_STEP);
	reset(v);
}

void virtio_state(struct virtio *v, struct state *s)
{
	state_section(s, "virtio", 1);
	state_u64(s, &v->accepted);
	state_u32(s, &v->feature_select[0]);
	state_u32(s, &v->feature_select[1]);
	state_u16(s, &v->config_vector);
	state_u16(s, &v->queue_select);
	state_u8(s, &v->status);
	state_u8(s, &v->isr);
	state_u8(s, &v->generation);
	for (unsigned i = 0; i < v->queues; i++) {
		struct virtio_queue *q = &v->queue[i];
		state_u16(s, &q->size);
		state_u16(s, &q->vector);
		state_bool(s, &q->enabled);
		state_u64(s, &q->desc);
		state_u64(s, &q->driver);
		state_u64(s, &q->device);
		state_u16(s, &q->avail_seen);
		state_u16(s, &q->used_next);
		if (!q->size || q->size > VIRTIO_QUEUE_SIZE || (q->size & (q->size - 1)))
			state_fail(s, "a virtio queue has %u entries", q->size);
	}
}
