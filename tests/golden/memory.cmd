mem l2:0x403010 32
mem l2p:0x7010 16 x4
mem 0x403000 64 str
mem 0x404ff8 16
mem 0x600000
mem 0x500000
mem l1:banner 16
mem rip 4 insn
find 0x401000 0x3000 'from l2'
disas
disas l1:l1_exit 5
disas 0x401000 2 16
bt
sym guest_main+4
--json sym 0x401021
symbols
level l1
print guest_counter
print [l2:guest_counter]
print u32[l2:guest_counter]
print no_such_thing
print l2:guest_counter
print l2:u32[guest_counter]
print u64[l2:guest_counter + 0]
print [l2p:0x7000]
print [l9:0]
print l2:nothing
