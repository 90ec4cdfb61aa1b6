# make check-kut KVM_UNIT_TESTS=DIR   runs a public suite's images, built elsewhere
check-kut: $(B)/nestscope
	@NESTSCOPE=$(B)/nestscope tests/kut/run "$(KVM_UNIT_TESTS)" $(TESTS)

.PHONY: check-kut
