/* Flags inside a segment: stored lazily as the interpreter does, read from the
 * host's flags where those are still the guest's. */
#include "cpu/jit_code.h"

#include "cpu/flags.h"

void flags_result(struct segment *s, unsigned size, unsigned reg)
{
	switch (size) {
	case 1:
		put_rr(s, 8, 0x0fbe, H_T0, reg, 2);
		break;
	case 2:
		put_rr(s, 8, 0x0fbf, H_T0, reg, 0);
		break;
	case 4:
		put_rr(s, 8, 0x63, H_T0, reg, 0);
		break;
	default:
		put_mem(s, 8, 0x89, reg, H_C, VCPU_LAZY(0), false);
		return;
	}
	put_mem(s, 8, 0x89, H_T0, H_C, VCPU_LAZY(0), false);
}

void flags_known(struct segment *s, enum lazy_kind kind, unsigned bits)
{
	s->known = (uint32_t)LAZY(kind, bits);
	s->sure = true;
	s->exact = false;
}

void flags_kind(struct segment *s, enum lazy_kind kind, unsigned bits)
{
	bool there = s->sure && s->known == LAZY(kind, bits);
	if (!there) {
		put_mem(s, 8, 0xc7, 0, H_C, VCPU_LAZY(3), false);
		put32(s, (uint32_t)LAZY(kind, bits));
	}
	flags_known(s, kind, bits);
}

/* A guess is checked once; a wrong one sends the op to the interpreter. */
static void guard(struct segment *s)
{
	if (s->sure)
		return;
	put_mem(s, 2, 0x81, 7, H_C, VCPU_LAZY(3), false);
	put8(s, s->known);
	put8(s, s->known >> 8);
	cold_jump(s, 0x0f85, COLD_HANDLER);
	s->sure = true;
}

static void call_exit(struct segment *s, enum jit_exit e)
{
	put8(s, 0xe8);
	put32(s, 0);
	int32_t rel = jit_exit_rel(s->j, e, s->p);
	s->p -= 4;
	put32(s, (uint32_t)rel);
}

static void ask(struct segment *s, unsigned *cc)
{
	put_const(s, H_T2, *cc);
	call_exit(s, EXIT_COND);
	put_rr(s, 4, 0x85, H_T0, H_T0, 0);
	*cc = 5;
}

/* cmp a, b again, as it was */
static void compare_again(struct segment *s)
{
	unsigned size = (s->known >> 8 & 0xff) / 8;
	put_mem(s, 8, 0x8b, H_T0, H_C, VCPU_LAZY(1), false);
	put_mem(s, size, size == 1 ? 0x3a : 0x3b, H_T0, H_C, VCPU_LAZY(2), size == 1);
}

/* rflags are complete: by a mask, where one is enough */
static bool by_mask(struct segment *s, unsigned *cc)
{
	static const uint16_t mask[8] = {
		FLAG_OF, FLAG_CF, FLAG_ZF, FLAG_CF | FLAG_ZF, FLAG_SF, FLAG_PF, 0, 0};
	if (!mask[*cc >> 1])
		return false;
	put_mem(s, 4, 0xf7, 0, H_C, VCPU(rflags), false);
	put32(s, mask[*cc >> 1]);
	*cc = *cc & 1 ? 4 : 5;
	return true;
}

void flags_want(struct segment *s, unsigned *cc)
{
	unsigned pair = *cc >> 1;
	bool carries = pair == 1 || pair == 3;
	if (s->hf && !(s->hf_no_cf && carries))
		return;
	s->hf = false;
	guard(s);
	unsigned kind = s->known & 0xff;
	bool of_result = pair == 2 || pair == 4 || pair == 5;
	if (kind == LAZY_NONE) {
		if (!by_mask(s, cc))
			ask(s, cc);
	} else if (kind == LAZY_LOGIC || of_result) {
		put_mem(s, 8, 0x83, 7, H_C, VCPU_LAZY(0), false);
		put8(s, 0);
	} else if (kind == LAZY_SUB && s->exact) {
		compare_again(s);
	} else {
		ask(s, cc);
	}
}

static void carry_bit(struct segment *s)
{
	put_rr(s, 1, 0x0f92, 0, H_T0, 2);
	put_rr(s, 4, 0x0fb6, H_T0, H_T0, 2);
}

void flags_carry(struct segment *s)
{
	bool host = s->hf && !s->hf_no_cf;
	s->hf = false;
	if (host) {
		carry_bit(s);
		return;
	}
	guard(s);
	switch (s->known & 0xff) {
	case LAZY_NONE:
		put_mem(s, 4, 0x8b, H_T0, H_C, VCPU(rflags), false);
		break;
	case LAZY_LOGIC:
		put_const(s, H_T0, 0);
		return;
	case LAZY_INC:
	case LAZY_DEC:
	case LAZY_CFOF:
		put_mem(s, 4, 0x8b, H_T0, H_C, VCPU_LAZY(3), false);
		put_rr(s, 4, 0xc1, 5, H_T0, 0);
		put8(s, 16);
		break;
	case LAZY_SUB:
		if (s->exact) {
			compare_again(s);
			carry_bit(s);
			return;
		}
		/* fall through */
	default:
		call_exit(s, EXIT_CF);
		return;
	}
	put_rr(s, 4, 0x83, 4, H_T0, 0); /* and eax, 1 */
	put8(s, 1);
}
