# demo: storm
# nestscope-gdb.py: both levels, walks, fields in expressions, a prompt.
set pagination off
set confirm off
file IMAGE
source gdbstub/nestscope-gdb.py
nestscope connect localhost:PORT
monitor catch exit IO_INSTRUCTION if level == 2
continue
nlevels
inferior 2
python print(gdb.prompt_hook)
nestscope prompt on
python print(gdb.prompt_hook(""))
info vmcs 12 GUEST_RIP
print $vmcs("GUEST_RIP") == $rip
print/x $vmcs02("VIRTUAL_PROCESSOR_ID")
python
try:
    gdb.execute('print $vmcs("NOPE")')
except gdb.error as e:
    print(e)
end
ndisas $rip 2
nwalk $rip+0 x
inferior 1
nwalk (unsigned long)&vmx_exit x
ndisas
origin PIN_BASED_VM_EXEC_CONTROL
exits top 3
python
import os, tempfile
path = tempfile.mktemp()
said = gdb.execute("monitor symbols l1 elf " + path)
gdb.execute("symbol-file " + path, to_string=True)
print(gdb.execute("info address exit_handle", to_string=True))
os.unlink(path)
end
detach
