/* Code memory, mapped once writable and once executable, and the jumps to the
 * program at its start. */
#include "cpu/jit_code.h"

#include "base/buf.h"
#include "cpu/fp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define JIT_SIZE  ((size_t)48 << 20)
#define JIT_START 4096u

struct jit {
	uint8_t *write, *run; /* the same memory twice */
	size_t used;
	bool full;
};

/* A link that holds no longer, or not yet. */
static void unlinked(struct vcpu *c, const struct op *o, struct link *l, uint64_t target)
{
	(void)o;
	c->rip = target;
	engine_patch(c, l);
}

/* The horizon comes before the end of the block at op 0, which is off c->ic. */
static void horizon(struct vcpu *c, const struct op *o)
{
	const struct block *b = op_block(o);
	c->ic += b->n;
	c->rip = b->rip;
}

static void jump(struct vcpu *c, const struct op *o, uint64_t target)
{
	(void)o;
	c->rip = target;
}

__attribute__((no_caller_saved_registers)) static uint64_t cond(
	struct vcpu *c, const struct op *o, uint64_t cc)
{
	(void)o;
	return flags_cond(c, (unsigned)cc);
}

__attribute__((no_caller_saved_registers)) static uint64_t carry(struct vcpu *c)
{
	return flag_cf(c);
}

/* jmp [rip + 0]; the address */
static void put_exit(uint8_t *p, uint64_t to)
{
	static const uint8_t code[] = {0xff, 0x25, 0, 0, 0, 0};
	memcpy(p, code, sizeof(code));
	memcpy(p + sizeof(code), &to, 8);
}

struct jit *jit_new(void)
{
	struct jit *j = xalloc(sizeof(*j));
	int fd = memfd_create("jit", MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, JIT_SIZE) == 0) {
		j->write = mmap(NULL, JIT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		j->run = mmap(NULL, JIT_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	}
	if (fd >= 0)
		close(fd);
	if (!j->write || j->write == MAP_FAILED || !j->run || j->run == MAP_FAILED) {
		jit_free(j);
		return NULL;
	}
	const uint64_t to[EXITS] = {[EXIT_MISS_READ] = (uintptr_t)op_miss_read,
		[EXIT_MISS_WRITE] = (uintptr_t)op_miss_write,
		[EXIT_UNLINKED] = (uintptr_t)unlinked,
		[EXIT_HORIZON] = (uintptr_t)horizon,
		[EXIT_JUMP] = (uintptr_t)jump,
		[EXIT_COND] = (uintptr_t)cond,
		[EXIT_CF] = (uintptr_t)carry};
	for (unsigned e = 0; e < EXITS; e++)
		put_exit(j->write + 16 * e, to[e]);
	j->used = JIT_START;
	return j;
}

void jit_free(struct jit *j)
{
	if (!j)
		return;
	if (j->write && j->write != MAP_FAILED)
		munmap(j->write, JIT_SIZE);
	if (j->run && j->run != MAP_FAILED)
		munmap(j->run, JIT_SIZE);
	free(j);
}

uint8_t *jit_room(struct jit *j, size_t most)
{
	j->used = (j->used + 15) & ~(size_t)15;
	if (j->used + most > JIT_SIZE)
		j->full = true;
	return j->full ? NULL : j->write + j->used;
}

void jit_take(struct jit *j, uint8_t *end)
{
	j->used = (size_t)(end - j->write);
}

const void *jit_place(const struct jit *j, const uint8_t *p)
{
	return j->run + (p - j->write);
}

int32_t jit_exit_rel(const struct jit *j, enum jit_exit e, const uint8_t *after)
{
	return (int32_t)(j->write + 16 * e - after);
}

bool jit_full(const struct jit *j)
{
	return j->full;
}

void jit_restart(struct jit *j)
{
	j->full = false;
	j->used = JIT_START;
}

/* Saves what the caller owns: RBX, RBP, R12 to R15. */
__asm__(".text\n"
	"jit_call:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	sub $8, %rsp\n"
	"	call *(%rsi)\n"
	"	add $8, %rsp\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n");
void jit_call(struct vcpu *c, const struct op *o);

void jit_enter(struct vcpu *c, const struct op *o)
{
	jit_call(c, o);
}
