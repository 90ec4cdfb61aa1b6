# Struct copies and clears in the engine must not become calls of libc, whose
# versions use vector registers.
ifeq ($(findstring clang,$(CC)),)
$(B)/cpu/%.o $(B)/ept/%.o: EXTRA += -minline-all-stringops
endif

# The instruction oracle: emulated against native, every row (tests/insn).
oracle_src := $(sort $(wildcard tests/insn/*.c))
$(B)/tests/insn/oracle: $(patsubst %.c,$(B)/%.o,$(oracle_src)) $(B)/cpu.a $(B)/ept.a $(B)/base.a
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# Translated (64-bit code at once, 32-bit code never), then interpreted.
ORACLE_STATES ?= 18000000
oracle: $(B)/tests/insn/oracle
	$(B)/tests/insn/oracle -s 2 -t 0 -m 64 -n $(ORACLE_STATES)
	$(B)/tests/insn/oracle -n $(ORACLE_STATES)
.PHONY: oracle

# Every fast handler ends in a jump, on the disassembly.
ifeq ($(MODE),release)
lint: lint-handlers
endif
lint-handlers: $(B)/cpu.a
	@tests/lint-handlers $(B)
.PHONY: lint-handlers
