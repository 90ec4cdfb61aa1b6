/* kvmboot [-i] KERNEL INITRD 'COMMAND LINE' - boots a bzImage under /dev/kvm and
 * counts the exits that reach user space.
 *
 * The smallest KVM user that runs a stock kernel: 128 MiB, one vCPU, the
 * kernel's own interrupt controllers and timer, a serial port. The guest's
 * console goes to standard output, with -i standard input to it; the run ends
 * when the guest resets itself by the keyboard controller. Linux' 64-bit boot
 * protocol, documented in its Documentation/arch/x86/boot.rst.
 */
#include "serial.h"
#include "vm.h"

#include <asm/bootparam.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEM	 (128u << 20)
#define PARAMS	 0x10000
#define CMDLINE	 0x20000
#define KERNEL	 0x1000000
#define INITRD	 0x5000000

struct boot {
	struct vm vm;
	struct serial serial;
	unsigned long exits, io, mmio, intr;
};

static size_t load(const struct vm *v, const char *path, uint8_t *at, size_t max)
{
	int fd = open(path, O_RDONLY);
	size_t size = 0;
	ssize_t n;

	if (fd < 0)
		vm_die(v, path);
	while (size < max && (n = read(fd, at + size, max - size)) > 0)
		size += (size_t)n;
	close(fd);
	return size;
}

static void load_kernel(struct vm *v, const char *kernel, const char *initrd, const char *cmdline)
{
	struct boot_params *p = (struct boot_params *)(v->mem + PARAMS);
	uint8_t *image = malloc(64u << 20);
	size_t size = load(v, kernel, image, 64u << 20), setup;
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
	p->hdr.ramdisk_size = (uint32_t)load(v, initrd, v->mem + INITRD, MEM - INITRD);
	p->e820_table[0] = (struct boot_e820_entry){0, 0x9fc00, 1};
	p->e820_table[1] = (struct boot_e820_entry){0x100000, MEM - 0x100000, 1};
	p->e820_entries = 2;
}

/* What a port without a device reads as. The keyboard controller's status: no
 * controller that could be reset, but one that takes the command to reset. */
static int absent(uint16_t at)
{
	return at == 0x64 ? 0xfd : at == 0x61 || at == 0x71 ? 0 : 0xff;
}

/* False when the guest asks for a reset. */
static bool port(struct boot *b)
{
	struct kvm_run *run = b->vm.run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint16_t at = run->io.port;
	bool in = run->io.direction == KVM_EXIT_IO_IN;

	for (unsigned n = 0; n < run->io.count; n++, data += run->io.size) {
		if (at >= SERIAL_BASE && at < SERIAL_BASE + 8) {
			if (in)
				*data = serial_read(&b->serial, at - SERIAL_BASE);
			else
				serial_write(&b->serial, at - SERIAL_BASE, *data);
		} else if (in) {
			memset(data, absent(at), run->io.size);
		} else if (at == 0x64 && *data == 0xfe) {
			return false;
		}
	}
	return true;
}

static const char *run(struct boot *b)
{
	struct kvm_run *run = b->vm.run;

	for (;;) {
		unsigned reason = vm_run(&b->vm);

		b->exits++;
		switch (reason) {
		case KVM_EXIT_IO:
			b->io++;
			if (!port(b))
				return "reset";
			break;
		case KVM_EXIT_MMIO:
			b->mmio++;
			if (!run->mmio.is_write)
				memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
			break;
		case KVM_EXIT_INTR:
			b->intr++;
			break;
		case KVM_EXIT_SHUTDOWN:
			return "shutdown";
		case KVM_EXIT_FAIL_ENTRY:
			printf("kvmboot: entry failed, reason %llx\n",
				(unsigned long long)run->fail_entry.hardware_entry_failure_reason);
			return "failed entry";
		default:
			printf("kvmboot: exit %u, suberror %u\n", reason, run->internal.suberror);
			return "unknown exit";
		}
	}
}

int main(int argc, char **argv)
{
	struct boot b = {0};
	bool input = argc > 1 && !strcmp(argv[1], "-i");
	const char *end;

	if (argc - input != 4) {
		fprintf(stderr, "usage: kvmboot [-i] KERNEL INITRD 'COMMAND LINE'\n");
		return 2;
	}
	argv += input;
	vm_create(&b.vm, "kvmboot", MEM, true);
	load_kernel(&b.vm, argv[1], argv[2], argv[3]);
	vm_start(&b.vm, KERNEL + 0x200, PARAMS);
	serial_start(&b.serial, &b.vm, input);
	end = run(&b);
	printf("kvmboot: %s after %lu exits: io %lu mmio %lu intr %lu\n", end, b.exits, b.io, b.mmio,
		b.intr);
	return strcmp(end, "reset") != 0;
}
