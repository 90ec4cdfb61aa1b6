# The guests: our own L1, with EPT and without, as multiboot 1 images.

GUEST_CFLAGS := -std=gnu11 -Wall -Wextra -Werror -Wshadow -O2 -ffreestanding -fno-pic -fno-pie \
	-mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-tree-loop-distribute-patterns -fcf-protection=none
GUEST_SRC := $(wildcard guests/*.c guests/*.S)
GUEST_IMAGES := $(B)/guests/l1.elf $(B)/guests/l1-noept.elf

# $(1) image, $(2) whether L2 runs with EPT unless told otherwise
define guest_image
$(B)/guests/$(1)/%.o: guests/%.c $(wildcard guests/*.h guests/*.def)
	@mkdir -p $$(@D)
	$$(CC) $$(GUEST_CFLAGS) -DDEFAULT_EPT=$(2) -c $$< -o $$@
$(B)/guests/$(1)/%.o: guests/%.S
	@mkdir -p $$(@D)
	$$(CC) -c $$< -o $$@
$(B)/guests/$(1).elf: $(patsubst guests/%,$(B)/guests/$(1)/%.o,$(basename $(GUEST_SRC))) guests/l1.ld
	$$(CC) -nostdlib -static -no-pie -Wl,-T,guests/l1.ld -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,--no-warn-rwx-segments -Wl,-z,noexecstack -o $$@.64 $$(filter %.o,$$^)
	objcopy -O elf32-i386 $$@.64 $$@
endef
$(eval $(call guest_image,l1,1))
$(eval $(call guest_image,l1-noept,0))

guests: $(GUEST_IMAGES)
.PHONY: guests

# app/demo.c holds the image and the scenarios' names.
$(B)/gen/demo_scenarios.def: guests/scenarios.def
	@mkdir -p $(@D)
	cp $< $@
$(B)/app/demo.o: EXTRA += -DDEMO_L1='"$(B)/guests/l1.elf"'
$(B)/app/demo.o: $(B)/guests/l1.elf $(B)/gen/demo_scenarios.def
