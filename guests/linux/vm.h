/* The smallest use of /dev/kvm: a VM with one vCPU and one block of memory at
 * guest-physical 0, started in 64-bit mode on identity tables.
 *
 * Every failure prints a line with the program's name and ends it.
 */
#ifndef GUESTS_LINUX_VM_H
#define GUESTS_LINUX_VM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_TABLES 0x9000 /* six pages of tables; below them the stack */

struct vm {
	const char *name; /* the program's, for messages */
	int kvm, vm, vcpu;
	uint8_t *mem;
	size_t size;
	struct kvm_run *run;
};

void vm_die(const struct vm *v, const char *what);
/* An ioctl that must succeed; `what` is its name. */
int vm_call(const struct vm *v, int fd, unsigned long request, void *arg, const char *what);
/* A VM with `size` bytes; with the kernel's interrupt controllers and timer. */
void vm_create(struct vm *v, const char *name, size_t size, bool irqchip);
/* 64-bit mode at rip with RSI = rsi; CPUID as the host's KVM offers it. */
void vm_start(struct vm *v, uint64_t rip, uint64_t rsi);
/* KVM_RUN to the next exit to user space; returns its KVM_EXIT reason. */
unsigned vm_run(struct vm *v);

#endif
