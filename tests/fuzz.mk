# make fuzz-packets, fuzz-commands, fuzz-snapshots   fuzz packets, commands, files (FUZZ_SECONDS=20 SEED=1); clean under
# MODE=asan. MODE=fuzz CC=clang drives the same functions with libFuzzer.
FUZZERS := $(basename $(notdir $(filter-out tests/fuzz/driver.c tests/fuzz/libfuzzer.c,$(wildcard tests/fuzz/*.c))))
FUZZ_SECONDS ?= 20
SEED    ?= 1
fuzz_archives = $(foreach d,$(filter-out app,$(LAYERS)),$(if $(src_$(d)),$(B)/$(d).a))

$(foreach f,$(FUZZERS),$(eval $(B)/tests/fuzz/$(f): $(B)/tests/fuzz/$(f).o))
$(FUZZERS:%=$(B)/tests/fuzz/%): $(B)/tests/fuzz/$(if $(filter fuzz,$(MODE)),libfuzzer,driver).o $(fuzz_archives)
	$(Q)$(CC) $(LDFLAGS) $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(fuzz_archives) -Wl,--end-group $(LIBS)

FUZZ_CORPUS = $(sort $(wildcard tests/fuzz/$(1)/* $(if $(filter commands,$(1)),tests/golden/*.cmd,tests/gdb/transcripts/*)))
$(FUZZERS:%=fuzz-%): fuzz-%: $(B)/tests/fuzz/%
ifeq ($(MODE),fuzz)
	@mkdir -p $(B)/corpus/$* && $< -max_total_time=$(FUZZ_SECONDS) -seed=$(SEED) -artifact_prefix=$(B)/ \
		$(B)/corpus/$* tests/fuzz/$*
else
	@timeout $$(($(FUZZ_SECONDS) + 120)) $< --seconds $(FUZZ_SECONDS) --seed $(SEED) $(call FUZZ_CORPUS,$*)
endif

fuzz-snapshots: $(B)/guests/l1.elf

.PHONY: $(FUZZERS:%=fuzz-%)
