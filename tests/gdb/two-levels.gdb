# demo: storm
# Two inferiors: break by symbol in L1, catch an exit of L2, step through it.
set pagination off
set confirm off
set architecture i386:x86-64
set schedule-multiple on
file IMAGE
target remote localhost:PORT
inferior 2
unset tdesc filename
inferior 1
info inferiors
info threads
break exit_handle
continue
info threads
bt 2
info registers rip rsp eflags cr0 cr4 efer level exit_reason
delete
monitor catch exit IO_INSTRUCTION if level == 2
continue
info threads
thread apply all print $rip
x/3i $rip
print $level
stepi
print $level
stepi
monitor regs rip
detach
