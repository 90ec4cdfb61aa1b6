# demo: entry
# A VM entry that fails stops in L1, whose registers and VMCS12 are there.
set pagination off
set confirm off
set architecture i386:x86-64
file IMAGE
target remote localhost:PORT
monitor catch entry-fail
continue
print $level
x/i $rip
monitor vmcs 12 GUEST_RF*
monitor vmcs history GUEST_RFLAGS
detach
