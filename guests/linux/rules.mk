# Programs for a Linux L1: static, without symbols.
LINUX_PROGRAMS := $(patsubst %,$(B)/guests/linux/%,kvmboot kvmtry)
$(B)/guests/linux/%: guests/linux/%.c guests/linux/vm.c guests/linux/serial.c $(wildcard guests/linux/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) -O2 -static -s -pthread -Wl,--build-id=none -o $@ $(filter %.c,$^)

guests: $(LINUX_PROGRAMS)
all: $(LINUX_PROGRAMS)

# app/linux_data.c holds what `nestscope linux` needs.
$(B)/app/linux_data.o: EXTRA += -DLINUX_KVMBOOT='"$(B)/guests/linux/kvmboot"'
$(B)/app/linux_data.o: $(B)/guests/linux/kvmboot \
	$(addprefix guests/linux/,fetch.sh l1-init l2-init l2-command)
