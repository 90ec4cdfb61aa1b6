# Tests of the live backend run our own L1.
$(B)/tests/unit/introspect_live $(B)/tests/unit/command_live: | $(B)/guests/l1.elf
