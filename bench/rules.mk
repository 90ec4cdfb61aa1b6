# The benchmark guest (multiboot) and `make bench`.
BENCH_CFLAGS := -O2 -std=c11 -ffreestanding -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fno-asynchronous-unwind-tables -mcmodel=small -Wall -Wextra -Werror

$(B)/bench/bench.elf: bench/guest/start.S bench/guest/bench.c bench/guest/nested.c guests/vmcs.h bench/guest/link.ld
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -c bench/guest/start.S -o $(@D)/start.o
	$(CC) $(BENCH_CFLAGS) -c bench/guest/bench.c -o $(@D)/bench.o
	$(CC) $(BENCH_CFLAGS) -I. -c bench/guest/nested.c -o $(@D)/nested.o
	$(CC) -nostdlib -static -no-pie -Wl,-z,max-page-size=4096 -Wl,--build-id=none -Wl,-T,bench/guest/link.ld \
		$(@D)/start.o $(@D)/bench.o $(@D)/nested.o -o $(@D)/bench64.elf
	objcopy -O elf32-i386 $(@D)/bench64.elf $@

bench: $(B)/bench/bench.elf $(B)/nestscope bench-gdb
	@bench/run $(B)
	@bench/exits $(B)

# The gdb stub: memory, breakpoints, conditions.
$(B)/bench/cached_stub: bench/gdb/cached_stub.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $< -o $@

# A million exits, listed, filtered and summed.
bench-exits: $(B)/nestscope
	@bench/list $(B)

bench-gdb: $(B)/bench/cached_stub $(B)/bench/bench.elf $(B)/nestscope
	@bench/gdb/run $(B)

.PHONY: bench bench-gdb bench-exits

# The TUI: a redraw of each panel, and the whole program beside a guest.
bench_archives = $(foreach d,$(filter-out app,$(LAYERS)),$(if $(src_$(d)),$(B)/$(d).a))
$(B)/bench/redraw: bench/tui/redraw.c $(bench_archives)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $< -o $@ -rdynamic -Wl,--start-group $(bench_archives) -Wl,--end-group $(LIBS)

bench-tui: $(B)/bench/redraw
	@$(B)/bench/redraw

.PHONY: bench-tui
