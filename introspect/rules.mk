# The live backend's test runs our own L1.
$(B)/tests/unit/introspect_live: | $(B)/guests/l1.elf
