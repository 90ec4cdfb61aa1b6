walk l2:0x403000 w user
walk l2:0x401000 w user
walk 0x500000 r user
walk 0x600000
walk l1:0xffffffff81000000 x
walk l2p:0x9000 w
walk 0x8000000000000000
--json walk l2p:0x7000
ept
ept 01
ept 02
