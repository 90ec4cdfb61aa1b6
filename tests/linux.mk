#   make check-linux-full check-linux and the whole matrix of nested boots
check-linux-full: check-linux
	@B=$(B) MODE=$(MODE) tests/run-suites tests/check-linux-full.list
.PHONY: check-linux-full
