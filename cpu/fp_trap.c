/* cpu/fp_trap.h: SIGFPE becomes the guest's #MF or #XM. */
#include "cpu/fp_trap.h"
#include "cpu/fp.h"
#include "cpu/run.h"
#include "base/err.h"

#include <cpuid.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum cpu_step fp_raise(struct vcpu *c, enum cpu_vector vec)
{
	if (vec == VEC_XM && !(c->cr4 & CR4_OSXMMEXCPT))
		vec = VEC_UD;
	return cpu_raise(c, vec);
}

static void pad(struct vcpu *c, const struct op *o, enum cpu_vector vec)
{
	if (o->aux == FP_CALLED) {
		((struct op *)o)->imm = vec;
		return;
	}
	if (vec == VEC_MF && !(c->cr0 & CR0_NE))
		return op_fallback(c, o);
	flags_sync(c);
	c->rip = op_rip(c, o);
	c->retired = retired_at(c, o);
	return op_finish(c, o, fp_raise(c, vec));
}

void fp_pad_mf(struct vcpu *c, const struct op *o)
{
	pad(c, o, VEC_MF);
}

void fp_pad_xm(struct vcpu *c, const struct op *o)
{
	pad(c, o, VEC_XM);
}

/* Only stubs run with exceptions unmasked; an integer division by zero is a
 * bug of ours and ends the process as it would without the handler. */
static void on_sigfpe(int sig, siginfo_t *info, void *context)
{
	greg_t *reg = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)info;
	if (reg[REG_TRAPNO] == VEC_MF)
		reg[REG_RIP] = (greg_t)(uintptr_t)fp_pad_mf;
	else if (reg[REG_TRAPNO] == VEC_XM)
		reg[REG_RIP] = (greg_t)(uintptr_t)fp_pad_xm;
	else
		signal(sig, SIG_DFL);
}

/* SSE2 is part of x86-64; XSAVE must be there and open to us. */
static bool host_has_xsave(void)
{
	unsigned a, b, c, d;
	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE);
}

static bool can_execute(void)
{
	int fd = memfd_create("stubs", MFD_CLOEXEC);
	void *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, PAGE_SIZE) == 0)
		p = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		munmap(p, PAGE_SIZE);
	if (fd >= 0)
		close(fd);
	return p != MAP_FAILED;
}

bool fp_host_init(struct err *e)
{
	struct sigaction sa = {.sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO};

	if (!host_has_xsave())
		return err_set(e, ERR_GENERAL,
			"the host's processor or kernel offers no XSAVE; it is needed for x87 and "
			"SSE");
	if (!can_execute())
		return err_set(e, ERR_GENERAL,
			"the host refuses executable memory (memfd with PROT_EXEC); it is needed "
			"for x87 and "
			"SSE");
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGFPE, &sa, NULL))
		return err_errno(e, "cannot handle SIGFPE");
	return true;
}
