/* Host-physical memory: what backs a physical address.
 *
 * The physical space of the machine is a list of ranges. RAM and ROM have
 * host memory behind them and one `struct phys_page` per page; everything
 * else belongs to the bus (base/bus.h) or to nobody. L1-physical addresses
 * below PHYS_PRIVATE equal host-physical ones (L0 maps them one to one);
 * L0's own pages (VMCS regions, EPT tables) live from PHYS_PRIVATE up, where
 * no guest of L0 is ever mapped.
 *
 * Every write that does not come from the engine's own store path (device
 * DMA, loaders, debugger, L0) goes through phys_write, so that code blocks,
 * watchpoints and the dirty log hear of it.
 */
#ifndef BASE_PHYS_H
#define BASE_PHYS_H

#include "base/addr.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state;

#define PHYS_PRIVATE UINT64_C(0x200000000000) /* 2^45; the guest's MAXPHYADDR is below */

enum phys_kind { PHYS_NONE, PHYS_RAM, PHYS_ROM };

/* One per page of RAM or ROM. */
struct phys_page {
	uint64_t code;  /* bit n: the engine holds code of bytes 64n..64n+63 */
	uint32_t dirty; /* generation of the last write, for the dirty log */
	uint32_t hooks; /* PHYS_HOOK_*: stores to the page leave the fast path */
};

enum { PHYS_HOOK_WATCH = 1, PHYS_HOOK_TABLE = 2, PHYS_HOOK_PLUGIN = 4 };

struct phys_range {
	enum phys_kind kind;
	struct hpa base;
	uint64_t size;          /* bytes, whole pages */
	uint8_t *host;          /* owned; NULL once the range is gone */
	struct phys_page *page; /* owned; size / PAGE_SIZE entries */
	const char *name;       /* static string */
};

#define PHYS_RANGES 32

struct phys {
	struct phys_range range[PHYS_RANGES];
	unsigned ranges;
	uint32_t generation; /* current dirty generation */
	/* Told of every phys_write to a page with code; set by the code cache's
	 * owner; may be NULL. */
	void (*written)(void *ctx, struct hpa at, size_t len);
	void *written_ctx;
	/* Told of every store to a page with hooks, the processor's included,
	 * before memory changes; never across pages; may be NULL. */
	void (*hooked)(void *ctx, struct hpa at, const void *in, size_t len);
	void *hooked_ctx;
	/* Told of a device's access, after a read and before a write; for tools
	 * that watch; may be NULL. */
	void (*device)(void *ctx, struct hpa at, size_t len, bool write);
	void *device_ctx;
	/* Told when ranges or bus windows change: TLBs are stale; may be NULL. */
	void (*remapped)(void *ctx);
	void *remapped_ctx;
};

void phys_init(struct phys *p);
void phys_done(struct phys *p);

/* Adds zeroed memory that the host commits only when touched. The new range
 * must not overlap another. */
bool phys_add(struct phys *p, enum phys_kind kind, struct hpa base, uint64_t size, const char *name,
	struct err *e);

/* Where the byte lives; NULL when nothing backs it. */
struct phys_range *phys_find(const struct phys *p, struct hpa at);

/* The page's host memory and descriptor; false when nothing backs it. */
bool phys_page_at(
	const struct phys *p, struct hpa at, uint8_t **host, struct phys_page **page,
	enum phys_kind *kind);

/* Copies out; false (and nothing promised in out) unless every byte is
 * backed. May cross pages. */
bool phys_read(const struct phys *p, struct hpa at, void *out, size_t len);

/* Copies in; false, and nothing written, unless every byte is RAM. */
bool phys_write(struct phys *p, struct hpa at, const void *in, size_t len);

/* The same for loaders and the ROM builder: writes ROM too. */
bool phys_load(struct phys *p, struct hpa at, const void *in, size_t len);

/* Contents of all RAM below PHYS_PRIVATE; all-zero pages cost one byte. */
void phys_state(struct phys *p, struct state *s);

#endif
