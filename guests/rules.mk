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
$(B)/guests/$(1)/%.o: guests/%.S guests/long_mode.inc
	@mkdir -p $$(@D)
	$$(CC) -c $$< -o $$@
$(B)/guests/$(1).elf: $(patsubst guests/%,$(B)/guests/$(1)/%.o,$(basename $(GUEST_SRC))) guests/l1.ld
	$$(CC) -nostdlib -static -no-pie -Wl,-T,guests/l1.ld -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,--no-warn-rwx-segments -Wl,-z,noexecstack -o $$@.64 $$(filter %.o,$$^)
	objcopy -O elf32-i386 $$@.64 $$@
endef
$(eval $(call guest_image,l1,1))
$(eval $(call guest_image,l1-noept,0))

# The fuzz guest: VMX instructions and structures at random, by seed.
FUZZ_GUEST := $(wildcard guests/fuzz/*.c guests/fuzz/*.S)
$(B)/guests/fuzz/%.o: guests/fuzz/%.c $(wildcard guests/fuzz/*.h vmx/fields.def)
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -I. -c $< -o $@
$(B)/guests/fuzz/%.o: guests/fuzz/%.S guests/long_mode.inc
	@mkdir -p $(@D)
	$(CC) -c $< -o $@
$(B)/guests/fuzz.elf: $(patsubst guests/%,$(B)/guests/%.o,$(basename $(FUZZ_GUEST))) $(B)/guests/l1/print.o guests/l1.ld
	$(CC) -nostdlib -static -no-pie -Wl,-T,guests/l1.ld -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,--no-warn-rwx-segments -Wl,-z,noexecstack -o $@.64 $(filter %.o,$^)
	objcopy -O elf32-i386 $@.64 $@

# make fuzz-vmx TIME=60 SEED=1   the fuzz guest on a build with sanitizers, seed after seed
TIME ?= 60
fuzz_vmx_archives = $(foreach d,$(call closure,l0),$(if $(src_$(d)),$(B)/$(d).a))
$(B)/tests/guest/fuzz_vmx: $(B)/tests/guest/fuzz_vmx.o $(foreach d,base ept cpu vmx machine l0,$(B)/$(d).a)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(fuzz_vmx_archives) -Wl,--end-group $(LIBS)
fuzz-vmx-run: $(B)/tests/guest/fuzz_vmx $(B)/guests/fuzz.elf
	@$< $(B)/guests/fuzz.elf $(TIME) $(SEED)
fuzz-vmx:
	@$(MAKE) -s MODE=asan fuzz-vmx-run
.PHONY: fuzz-vmx fuzz-vmx-run

guests: $(GUEST_IMAGES)
.PHONY: guests

# app/demo.c holds the image and the scenarios' names.
$(B)/gen/demo_scenarios.def: guests/scenarios.def
	@mkdir -p $(@D)
	cp $< $@
$(B)/app/demo.o: EXTRA += -DDEMO_L1='"$(B)/guests/l1.elf"'
$(B)/app/demo.o: $(B)/guests/l1.elf $(B)/gen/demo_scenarios.def
