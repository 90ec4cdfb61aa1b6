# demo: storm
# stepi on VMRESUME stops at L2's first instruction; step within stays in L1.
set pagination off
set confirm off
set architecture i386:x86-64
set schedule-multiple on
file IMAGE
target remote localhost:PORT
inferior 2
unset tdesc filename
inferior 1
monitor catch entry
continue
print $level
print $rip
stepi
print $level
monitor delete all
monitor step within
print $level
detach
