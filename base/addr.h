/* Address spaces as types: mixing them does not compile.
 *
 * gva  guest-virtual (linear) address of some level
 * gpa  guest-physical address of some level (L1-physical or L2-physical)
 * hpa  host-physical address: an offset into nestscope's own physical space
 *      (base/phys.h): RAM, ROM and device windows as the processor sees them.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gva {
	uint64_t v;
};
struct gpa {
	uint64_t v;
};
struct hpa {
	uint64_t v;
};

static inline struct gva gva(uint64_t v)
{
	return (struct gva){v};
}
static inline struct gpa gpa(uint64_t v)
{
	return (struct gpa){v};
}
static inline struct hpa hpa(uint64_t v)
{
	return (struct hpa){v};
}

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096u
#define PAGE_MASK  (~(uint64_t)4095)

/* Bit helpers that every folder needs. */
#define BIT(n) (UINT64_C(1) << (n))

#endif
