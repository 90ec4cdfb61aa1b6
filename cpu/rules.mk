# Struct copies and clears in the engine must not become calls of libc, whose
# versions use vector registers.
ifeq ($(findstring clang,$(CC)),)
$(B)/cpu/%.o $(B)/ept/%.o: EXTRA += -minline-all-stringops
endif

# The instruction oracle: emulated against native, every row (tests/insn).
oracle_src := $(sort $(wildcard tests/insn/*.c))
$(B)/tests/insn/oracle: $(patsubst %.c,$(B)/%.o,$(oracle_src)) $(B)/cpu.a $(B)/ept.a $(B)/base.a
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# Translated (64-bit code at once, 32-bit code never) beside interpreted.
ORACLE_STATES ?= 18000000
oracle: $(B)/tests/insn/oracle
	+@$(MAKE) -s -j2 --output-sync=target oracle-translated oracle-interpreted
oracle-translated: $(B)/tests/insn/oracle
	$(B)/tests/insn/oracle -n $(ORACLE_STATES)
oracle-interpreted: $(B)/tests/insn/oracle
	$(B)/tests/insn/oracle -s 2 -t 0 -m 64 -n $(ORACLE_STATES)
.PHONY: oracle-translated oracle-interpreted
.PHONY: oracle

# Every fast handler ends in a jump, on the disassembly.
ifeq ($(MODE),release)
lint: lint-handlers
endif
lint-handlers: $(B)/cpu.a
	@tests/lint-handlers $(B)
.PHONY: lint-handlers
