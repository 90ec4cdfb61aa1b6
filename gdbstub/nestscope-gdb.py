# nestscope-gdb.py - what gdb can be taught about nestscope. SPDX-License-Identifier: GPL-3.0-or-later
#
#   (gdb) source nestscope-gdb.py
#   (gdb) nestscope connect :1234
#
# Optional: all of it is `monitor` in other words, and nothing depends on it.
# Needs gdb 12 or later with Python.
"""Commands for gdb on nestscope's nested guests.

nestscope connect WHERE   attach, both levels as inferiors of one connection
nestscope symbols [FILE]  names of a stock Linux kernel, from its own memory
nestscope prompt on|off   a prompt that says which level gdb looks at
info vmcs [ARGUMENTS]     VMCS12 and its siblings, as `monitor vmcs`
nwalk EXPRESSION [r|w|x] [user|kernel]   the page walk of an access, with blame
ndisas [EXPRESSION] [COUNT]   disassembly in the mode of the level, 16 to 64 bits
nbt [COUNT]               the call stack, by a kernel's ORC tables too
nlevels, exits, autopsy, origin   as `monitor levels`, `monitor exits` ...
$vmcs("FIELD"), $vmcs02("FIELD")  a field's value in expressions
"""
import atexit
import json
import os
import tempfile

import gdb


def connection():
    """The remote connection of the selected inferior."""
    c = gdb.selected_inferior().connection
    if not isinstance(c, gdb.RemoteTargetConnection):
        raise gdb.GdbError("not connected: nestscope connect HOST:PORT")
    return c


def place():
    """The selected thread as the protocol names it, "p1.1"."""
    thread = gdb.selected_thread()
    if thread is None or not thread.is_valid():
        raise gdb.GdbError("no thread is selected")
    pid, lwp, tid = thread.ptid
    return f"p{pid:x}.{(lwp or tid):x}"


def monitor(line):
    """Runs a command of nestscope at the selected level; returns what it says."""
    c = connection()
    # gdb remembers which thread it chose last: leave it that way
    before = c.send_packet("qC").decode()[2:]
    c.send_packet("Hg" + place())
    try:
        reply = c.send_packet(b"qRcmd," + line.encode().hex().encode()).decode()
    finally:
        c.send_packet("Hg" + before)
    if reply.startswith("E"):
        raise gdb.GdbError(f"monitor {line}: {reply}")
    return "" if reply == "OK" else bytes.fromhex(reply).decode(errors="replace")


def ask(line):
    """The same as data: the command's JSON answer."""
    answer = json.loads(monitor("--json " + line))
    if "error" in answer:
        raise gdb.GdbError(str(answer["error"]))
    return answer


def address(text):
    """A gdb expression's value as a number that nestscope reads."""
    return f"{int(gdb.parse_and_eval(text).cast(gdb.lookup_type('long'))) & (1 << 64) - 1:#x}"


def split(arg):
    """The first word or parenthesised expression, and the words behind it."""
    depth = 0
    for i, c in enumerate(arg):
        depth += (c in "([") - (c in ")]")
        if c == " " and not depth:
            return arg[:i], arg[i + 1:].split()
    return arg, []


class Plain(gdb.Command):
    """A command that is `monitor` with another name."""

    def __init__(self, name, target, doc, kind=gdb.COMMAND_STATUS):
        self.__doc__ = doc
        super().__init__(name, kind)
        self.target = target

    def invoke(self, arg, from_tty):
        gdb.write(monitor(f"{self.target} {arg}".rstrip()))


class Walk(gdb.Command):
    """nwalk EXPRESSION [r|w|x] [user|kernel]: walk all page tables of an access.

Shows every entry of the guest's tables, of EPT12 and EPT01, who says no, and
the page fault or exit qualification that the access would produce."""

    def __init__(self):
        super().__init__("nwalk", gdb.COMMAND_DATA)

    def invoke(self, arg, from_tty):
        where, words = split(arg)
        if not where:
            raise gdb.GdbError("nwalk EXPRESSION [r|w|x] [user|kernel]")
        gdb.write(monitor(" ".join(["walk", address(where), *words])))


class Disassemble(gdb.Command):
    """ndisas [EXPRESSION] [COUNT]: disassemble in the mode of the selected level.

gdb takes all code for 64-bit code; this asks nestscope, which knows."""

    def __init__(self):
        super().__init__("ndisas", gdb.COMMAND_DATA)

    def invoke(self, arg, from_tty):
        where, words = split(arg)
        line = ["disas"] + ([address(where)] if where else ["rip", "8"]) + words
        gdb.write(monitor(" ".join(line)))


def forget(path):
    """Removes a file of ours when gdb ends."""
    if os.path.exists(path):
        os.unlink(path)


class Nestscope(gdb.Command):
    """nestscope connect WHERE | symbols [FILE] | prompt on|off: see `help nestscope`."""

    def __init__(self):
        super().__init__("nestscope", gdb.COMMAND_RUNNING)

    def invoke(self, arg, from_tty):
        word, *rest = arg.split() or [""]
        if word == "connect" and len(rest) == 1:
            self.connect(rest[0])
        elif word == "symbols" and len(rest) <= 1:
            self.symbols(*rest)
        elif word == "prompt" and rest in (["on"], ["off"]):
            gdb.prompt_hook = prompt if rest == ["on"] else None
        else:
            raise gdb.GdbError("nestscope connect HOST:PORT | symbols [FILE] | prompt on|off")

    @staticmethod
    def connect(where):
        """What gdb 13 needs so that both levels have our registers."""
        gdb.execute("set architecture i386:x86-64", to_string=True)
        gdb.execute("set schedule-multiple on")
        gdb.execute("set remotetimeout 60")  # `monitor expect` may take a while
        gdb.execute(f"target remote {where}")
        if len(gdb.inferiors()) > 1:
            gdb.execute("inferior 2", to_string=True)
            gdb.execute("unset tdesc filename", to_string=True)
            gdb.execute("inferior 1", to_string=True)

    @staticmethod
    def symbols(path=None):
        """Finds the kernel's own table, writes it as ELF, gives it to gdb."""
        level = "l1" if gdb.selected_inferior().pid == 1 else "l2"
        if path is None:
            handle, path = tempfile.mkstemp(suffix=".elf", prefix="nestscope-")
            os.close(handle)
            atexit.register(forget, path)  # gdb reads parts of it when it needs them
        monitor(f"symbols {level} find")
        said = monitor(f"symbols {level} elf '{os.path.abspath(path)}'")
        if "written" not in said:
            raise gdb.GdbError(said.strip())
        gdb.execute(f"add-symbol-file {path}", to_string=True)
        gdb.write(f"symbols of {level} are loaded\n")


class Field(gdb.Function):
    """$vmcs("FIELD"): a field of a VMCS, by its name in the manual."""

    def __init__(self, name, which):
        super().__init__(name)
        self.which = which

    def invoke(self, field):
        return ask(f"print {self.which}.{field.string()}")["decimal"]


def prompt(_):
    """(l2 vCPU 0) while an L2 is selected."""
    thread = gdb.selected_thread()
    if thread is None:
        return "(gdb) "
    pid, lwp, tid = thread.ptid
    name = "l1" if pid == 1 else "l2" if pid == 2 else f"l2:{pid - 1}"
    return f"({name} vCPU {(lwp or tid) - 1}) "


Nestscope()
Walk()
Disassemble()
Plain("info vmcs", "vmcs", "info vmcs [01|12|02|shadow|diff|origin|history] [FIELD|GLOB]: VMCSs, decoded.")
Plain("nlevels", "levels", "Which levels there are, and what each vCPU runs.")
Plain("nbt", "bt", "nbt [COUNT]: the call stack as nestscope unwinds it, and how each frame was found.",
      gdb.COMMAND_STACK)
Plain("exits", "exits", "exits [list|top|hist|causes|storm] [FILTER]: transitions between levels.")
Plain("autopsy", "autopsy", "Why the last VM entry or VMX instruction failed.")
Plain("origin", "vmcs origin", "origin FIELD: which bits of VMCS02 L1 wanted, which L0, by which rule.")
Field("vmcs", "vmcs12")
Field("vmcs02", "vmcs02")
