levels
level
regs
regs l1 control
regs l1 xmm0 rip
--json regs rip rflags
set rbx = 0x77
print rbx
print guest_counter
set u32[guest_counter] = 5
print u32[guest_counter]
set l1 rax = 7
print vmcs12.GUEST_RIP == rip
