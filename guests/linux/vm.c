#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

void vm_die(const struct vm *v, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", v->name, what, strerror(errno));
	exit(1);
}

int vm_call(const struct vm *v, int fd, unsigned long request, void *arg, const char *what)
{
	int r = ioctl(fd, request, arg);

	if (r < 0)
		vm_die(v, what);
	return r;
}

static void create_vcpu(struct vm *v)
{
	int size = vm_call(v, v->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");

	v->vcpu = vm_call(v, v->vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
	v->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, v->vcpu, 0);
	if (v->run == MAP_FAILED)
		vm_die(v, "vCPU memory");
}

void vm_create(struct vm *v, const char *name, size_t size, bool irqchip)
{
	struct kvm_pit_config pit = {0};
	struct kvm_userspace_memory_region region = {.memory_size = size};

	*v = (struct vm){.name = name, .size = size};
	v->kvm = open("/dev/kvm", O_RDWR);
	if (v->kvm < 0)
		vm_die(v, "/dev/kvm");
	v->vm = vm_call(v, v->kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	if (ioctl(v->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul) < 0)
		vm_die(v, "KVM_SET_TSS_ADDR");
	if (irqchip) {
		vm_call(v, v->vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP");
		vm_call(v, v->vm, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2");
	}
	v->mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v->mem == MAP_FAILED)
		vm_die(v, "memory");
	region.userspace_addr = (uintptr_t)v->mem;
	vm_call(v, v->vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
	create_vcpu(v);
}

static void set_cpuid(struct vm *v)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[128];
	} c = {.head.nent = 128};

	vm_call(v, v->kvm, KVM_GET_SUPPORTED_CPUID, &c, "KVM_GET_SUPPORTED_CPUID");
	vm_call(v, v->vcpu, KVM_SET_CPUID2, &c, "KVM_SET_CPUID2");
}

/* Fast strings are on after reset; a kernel that finds them off drops ERMS and
 * keeps FSRM, whose memmove then has no check of short lengths. */
static void set_msrs(struct vm *v)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[1];
	} m = {.head.nmsrs = 1, .entry[0] = {.index = 0x1a0, .data = 1}};

	vm_call(v, v->vcpu, KVM_SET_MSRS, &m, "KVM_SET_MSRS");
}

void vm_start(struct vm *v, uint64_t rip, uint64_t rsi)
{
	uint64_t *table = (uint64_t *)(v->mem + VM_TABLES);
	struct kvm_segment code = {.limit = 0xffffffff, .selector = 0x10, .type = 11, .present = 1,
		.s = 1, .l = 1, .g = 1};
	struct kvm_segment data = {.limit = 0xffffffff, .selector = 0x18, .type = 3, .present = 1,
		.s = 1, .db = 1, .g = 1};
	struct kvm_regs regs = {.rip = rip, .rsi = rsi, .rsp = VM_TABLES - 0x1000, .rflags = 2};
	struct kvm_sregs s;

	set_cpuid(v);
	set_msrs(v);
	table[0] = VM_TABLES + 0x1003;
	for (unsigned g = 0; g < 4; g++)
		table[512 + g] = VM_TABLES + 0x2003 + g * 0x1000;
	for (uint64_t n = 0; n < 2048; n++)
		table[1024 + n] = n << 21 | 0x83;
	vm_call(v, v->vcpu, KVM_GET_SREGS, &s, "KVM_GET_SREGS");
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cr3 = VM_TABLES;
	s.cr4 = 0x20;
	s.cr0 = 0x80000001;
	s.efer = 0x500;
	vm_call(v, v->vcpu, KVM_SET_SREGS, &s, "KVM_SET_SREGS");
	vm_call(v, v->vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

unsigned vm_run(struct vm *v)
{
	if (ioctl(v->vcpu, KVM_RUN, 0) < 0 && errno != EINTR)
		vm_die(v, "KVM_RUN");
	return v->run->exit_reason;
}
