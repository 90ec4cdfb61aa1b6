# Struct copies and clears in the engine must not become calls of libc, whose
# versions use vector registers.
ifeq ($(findstring clang,$(CC)),)
$(B)/cpu/%.o $(B)/ept/%.o: EXTRA += -minline-all-stringops
endif
