/* kvmboot KERNEL INITRD 'COMMAND LINE' - boots a bzImage under /dev/kvm and
 * counts the exits that reach user space.
 *
 * The smallest KVM user that runs a stock kernel: 128 MiB, one vCPU, the
 * kernel's own interrupt controllers and timer, a serial port. The guest's
 * console goes to standard output; the run ends when the guest resets itself
 * by the keyboard controller. Linux' 64-bit boot protocol, documented in its
 * Documentation/arch/x86/boot.rst.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEM	 (128u << 20)
#define TABLES	 0x9000
#define PARAMS	 0x10000
#define CMDLINE	 0x20000
#define KERNEL	 0x1000000
#define INITRD	 0x5000000
#define COM1	 0x3f8
#define COM1_IRQ 4

struct vm {
	int kvm, vm, vcpu;
	uint8_t *mem;
	struct kvm_run *run;
	uint8_t ier, lcr, mcr, scratch;
	bool thre; /* the transmitter-empty interrupt is pending */
	unsigned long exits, io, mmio, intr, other;
};

static void die(const char *what)
{
	fprintf(stderr, "kvmboot: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int call(int fd, unsigned long request, void *arg, const char *what)
{
	int r = ioctl(fd, request, arg);

	if (r < 0)
		die(what);
	return r;
}

static size_t load(const char *path, uint8_t *at, size_t max)
{
	int fd = open(path, O_RDONLY);
	size_t size = 0;
	ssize_t n;

	if (fd < 0)
		die(path);
	while (size < max && (n = read(fd, at + size, max - size)) > 0)
		size += (size_t)n;
	close(fd);
	return size;
}

static void create(struct vm *v)
{
	struct kvm_pit_config pit = {0};
	struct kvm_userspace_memory_region region = {.memory_size = MEM};
	int size;

	v->kvm = open("/dev/kvm", O_RDWR);
	if (v->kvm < 0)
		die("/dev/kvm");
	v->vm = call(v->kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	if (ioctl(v->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul) < 0)
		die("KVM_SET_TSS_ADDR");
	call(v->vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP");
	call(v->vm, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2");
	v->mem = mmap(NULL, MEM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v->mem == MAP_FAILED)
		die("memory");
	region.userspace_addr = (uintptr_t)v->mem;
	call(v->vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
	v->vcpu = call(v->vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
	size = call(v->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
	v->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, v->vcpu, 0);
	if (v->run == MAP_FAILED)
		die("vCPU memory");
}

static void set_cpuid(struct vm *v)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[128];
	} c = {.head.nent = 128};

	call(v->kvm, KVM_GET_SUPPORTED_CPUID, &c, "KVM_GET_SUPPORTED_CPUID");
	call(v->vcpu, KVM_SET_CPUID2, &c, "KVM_SET_CPUID2");
}

/* Fast strings are on after reset; a kernel that finds them off drops ERMS and
 * keeps FSRM, whose memmove then has no check of short lengths. */
static void set_msrs(struct vm *v)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[1];
	} m = {.head.nmsrs = 1, .entry[0] = {.index = 0x1a0, .data = 1}};

	call(v->vcpu, KVM_SET_MSRS, &m, "KVM_SET_MSRS");
}

/* 64-bit mode on identity tables, RSI at boot_params. */
static void set_registers(struct vm *v)
{
	uint64_t *table = (uint64_t *)(v->mem + TABLES);
	struct kvm_segment code = {.limit = 0xffffffff, .selector = 0x10, .type = 11, .present = 1,
		.s = 1, .l = 1, .g = 1};
	struct kvm_segment data = {.limit = 0xffffffff, .selector = 0x18, .type = 3, .present = 1,
		.s = 1, .db = 1, .g = 1};
	struct kvm_regs regs = {.rip = KERNEL + 0x200, .rsi = PARAMS, .rsp = 0x8000, .rflags = 2};
	struct kvm_sregs s;

	table[0] = TABLES + 0x1003;
	for (unsigned g = 0; g < 4; g++)
		table[512 + g] = TABLES + 0x2003 + g * 0x1000;
	for (uint64_t n = 0; n < 2048; n++)
		table[1024 + n] = n << 21 | 0x83;
	call(v->vcpu, KVM_GET_SREGS, &s, "KVM_GET_SREGS");
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cr3 = TABLES;
	s.cr4 = 0x20;
	s.cr0 = 0x80000001;
	s.efer = 0x500;
	call(v->vcpu, KVM_SET_SREGS, &s, "KVM_SET_SREGS");
	call(v->vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

static void load_kernel(struct vm *v, const char *kernel, const char *initrd, const char *cmdline)
{
	struct boot_params *p = (struct boot_params *)(v->mem + PARAMS);
	uint8_t *image = malloc(64u << 20);
	size_t size = load(kernel, image, 64u << 20), setup;
	struct setup_header *h = (struct setup_header *)(image + 0x1f1);

	if (size < 0x1000 || h->header != 0x53726448) {
		fprintf(stderr, "kvmboot: %s is no bzImage\n", kernel);
		exit(1);
	}
	setup = (h->setup_sects ? h->setup_sects + 1u : 5u) * 512;
	memcpy(v->mem + KERNEL, image + setup, size - setup);
	p->hdr = *h;
	free(image);
	p->hdr.type_of_loader = 0xff;
	p->hdr.loadflags |= 1;
	p->hdr.cmd_line_ptr = CMDLINE;
	p->hdr.code32_start = KERNEL;
	strcpy((char *)v->mem + CMDLINE, cmdline);
	p->hdr.ramdisk_image = INITRD;
	p->hdr.ramdisk_size = (uint32_t)load(initrd, v->mem + INITRD, MEM - INITRD);
	p->e820_table[0] = (struct boot_e820_entry){0, 0x9fc00, 1};
	p->e820_table[1] = (struct boot_e820_entry){0x100000, MEM - 0x100000, 1};
	p->e820_entries = 2;
}

static void serial_irq(struct vm *v)
{
	struct kvm_irq_level l = {.irq = COM1_IRQ, .level = v->thre && v->ier & 2};

	call(v->vm, KVM_IRQ_LINE, &l, "KVM_IRQ_LINE");
}

static uint8_t serial_read(struct vm *v, unsigned reg)
{
	uint8_t r = 0;

	switch (reg) {
	case 1:
		return v->ier;
	case 2: /* IIR: reading it ends the transmitter-empty interrupt */
		r = v->thre && v->ier & 2 ? 2 : 1;
		v->thre = false;
		serial_irq(v);
		return r;
	case 3:
		return v->lcr;
	case 4:
		return v->mcr;
	case 5:
		return 0x60;
	case 6:
		return 0xb0;
	case 7:
		return v->scratch;
	}
	return r;
}

static void serial_write(struct vm *v, unsigned reg, uint8_t value)
{
	if (reg == 0 && !(v->lcr & 0x80)) {
		putchar(value);
		v->thre = true;
		serial_irq(v);
	} else if (reg == 1 && !(v->lcr & 0x80)) {
		v->thre = (value & 2) && !(v->ier & 2) ? true : v->thre;
		v->ier = value & 15;
		serial_irq(v);
	} else if (reg == 3) {
		v->lcr = value;
	} else if (reg == 4) {
		v->mcr = value;
	} else if (reg == 7) {
		v->scratch = value;
	}
}

/* False when the guest asks for a reset. */
static bool port(struct vm *v)
{
	uint8_t *data = (uint8_t *)v->run + v->run->io.data_offset;
	uint16_t at = v->run->io.port;
	bool in = v->run->io.direction == KVM_EXIT_IO_IN;

	for (unsigned n = 0; n < v->run->io.count; n++, data += v->run->io.size) {
		if (at >= COM1 && at < COM1 + 8) {
			if (in)
				*data = serial_read(v, at - COM1);
			else
				serial_write(v, at - COM1, *data);
		} else if (in) {
			memset(data, at == 0x64 || at == 0x61 ? 0 : 0xff, v->run->io.size);
		} else if (at == 0x64 && *data == 0xfe) {
			return false;
		}
	}
	return true;
}

static const char *run(struct vm *v)
{
	for (;;) {
		if (ioctl(v->vcpu, KVM_RUN, 0) < 0 && errno != EINTR)
			die("KVM_RUN");
		v->exits++;
		switch (v->run->exit_reason) {
		case KVM_EXIT_IO:
			v->io++;
			if (!port(v))
				return "reset";
			break;
		case KVM_EXIT_MMIO:
			v->mmio++;
			if (!v->run->mmio.is_write)
				memset(v->run->mmio.data, 0xff, sizeof(v->run->mmio.data));
			break;
		case KVM_EXIT_INTR:
			v->intr++;
			break;
		case KVM_EXIT_SHUTDOWN:
			return "shutdown";
		case KVM_EXIT_FAIL_ENTRY:
			printf("kvmboot: entry failed, reason %llx\n",
				(unsigned long long)v->run->fail_entry.hardware_entry_failure_reason);
			return "failed entry";
		default:
			printf("kvmboot: exit %u, suberror %u\n", v->run->exit_reason,
				v->run->internal.suberror);
			return "unknown exit";
		}
	}
}

int main(int argc, char **argv)
{
	struct vm v = {0};
	const char *end;

	if (argc != 4) {
		fprintf(stderr, "usage: kvmboot KERNEL INITRD 'COMMAND LINE'\n");
		return 2;
	}
	create(&v);
	set_cpuid(&v);
	set_msrs(&v);
	load_kernel(&v, argv[1], argv[2], argv[3]);
	set_registers(&v);
	end = run(&v);
	printf("kvmboot: %s after %lu exits: io %lu mmio %lu intr %lu\n", end, v.exits, v.io, v.mmio,
		v.intr);
	return strcmp(end, "reset") != 0;
}
