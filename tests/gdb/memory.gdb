# demo: storm
# Memory and registers of both levels; watchpoints; a condition; finish.
set pagination off
set confirm off
set architecture i386:x86-64
set schedule-multiple on
file IMAGE
target remote localhost:PORT
inferior 2
unset tdesc filename
inferior 1
monitor catch exit IO_INSTRUCTION if level == 2
continue
x/4xb 0x8000
python
try:
    gdb.execute("x/4xb 0x900000")
except gdb.error as e:
    print(e)
end
monitor physical on
x/4xb 0x8000
monitor physical off
print $rdx
python
try:
    gdb.execute("set var $rsi = 0x55")
except gdb.error as e:
    print(e)
end
set var $rip = $rip
inferior 1
x/2i vmx_exit
monitor delete all
break exit_handle if $rsp != 0
continue
finish
watch *(unsigned char *)0x8000
continue
detach
