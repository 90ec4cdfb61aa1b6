# The DSDT is compiled from ASL, the ROM assembled; both become lists of bytes
# that C includes.
$(B)/gen/machine/dsdt_bytes.h: machine/acpi/dsdt.asl
	@mkdir -p $(@D)
	iasl -p $(B)/gen/machine/dsdt $< >$(B)/gen/machine/dsdt.log || { cat $(B)/gen/machine/dsdt.log; false; }
	od -An -v -tx1 $(B)/gen/machine/dsdt.aml | sed 's/ \(..\)/0x\1,/g' >$@

$(B)/machine/acpi.o: $(B)/gen/machine/dsdt_bytes.h

$(B)/gen/machine/rom_bytes.h: machine/rom/rom.S machine/rom/video.S machine/rom/system.S
	@mkdir -p $(@D)
	$(CC) $(if $(findstring clang,$(CC)),-fno-integrated-as) -m32 -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-Ttext=0 -Wl,-e,0 -Wl,--oformat=binary \
		-Imachine/rom -o $(B)/gen/machine/rom.bin $<
	od -An -v -tx1 $(B)/gen/machine/rom.bin | sed 's/ \(..\)/0x\1,/g' >$@

$(B)/machine/rom.o: $(B)/gen/machine/rom_bytes.h
