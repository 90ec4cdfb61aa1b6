/* kvmtry cpuid N | out N | entry - small things done to KVM, one at a time.
 *
 * cpuid N: the guest runs CPUID N times, which KVM answers in the kernel; out N:
 * it writes a port N times, each an exit to user space. Both then halt. entry:
 * KVM_SET_SREGS makes SS a segment whose DPL is not its selector's RPL and its
 * limit one that its granularity cannot have, which KVM passes on; the entry
 * fails.
 */
#include "vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODE 0x20000
#define LOOP_COUNT 1 /* where the count lies in both loops */

static const uint8_t cpuid_loop[] = {
	0xbf, 0, 0, 0, 0,       /* mov edi, COUNT */
	0x31, 0xc0,             /* again: xor eax, eax */
	0x0f, 0xa2,             /* cpuid */
	0xff, 0xcf,             /* dec edi */
	0x75, 0xf8,             /* jnz again */
	0xf4,                   /* hlt */
};
static const uint8_t out_loop[] = {
	0xbf, 0, 0, 0, 0,       /* mov edi, COUNT */
	0xe6, 0x80,             /* again: out 0x80, al */
	0xff, 0xcf,             /* dec edi */
	0x75, 0xfa,             /* jnz again */
	0xf4,                   /* hlt */
};

static int loop(struct vm *v, const uint8_t *code, size_t size, uint32_t count)
{
	unsigned long out = 0;
	unsigned reason;

	memcpy(v->mem + CODE, code, size);
	memcpy(v->mem + CODE + LOOP_COUNT, &count, sizeof(count));
	while ((reason = vm_run(v)) == KVM_EXIT_IO)
		out++;
	printf("kvmtry: %lu exits to user space, the last is %u\n", out, reason);
	return reason != KVM_EXIT_HLT;
}

static int entry(struct vm *v)
{
	struct kvm_sregs s;
	unsigned reason;

	vm_call(v, v->vcpu, KVM_GET_SREGS, &s, "KVM_GET_SREGS");
	s.ss.dpl = 3;
	s.ss.limit = 0x1000;
	vm_call(v, v->vcpu, KVM_SET_SREGS, &s, "KVM_SET_SREGS");
	reason = vm_run(v);
	printf("kvmtry: exit %u, hardware reason %llx\n", reason,
		(unsigned long long)v->run->fail_entry.hardware_entry_failure_reason);
	return reason != KVM_EXIT_FAIL_ENTRY;
}

int main(int argc, char **argv)
{
	struct vm v;
	uint32_t count = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 0) : 0;

	vm_create(&v, "kvmtry", 2u << 20, false);
	vm_start(&v, CODE, 0);
	if (count && !strcmp(argv[1], "cpuid"))
		return loop(&v, cpuid_loop, sizeof(cpuid_loop), count);
	if (count && !strcmp(argv[1], "out"))
		return loop(&v, out_loop, sizeof(out_loop), count);
	if (argc == 2 && !strcmp(argv[1], "entry"))
		return entry(&v);
	fprintf(stderr, "usage: kvmtry cpuid N | out N | entry\n");
	return 2;
}
