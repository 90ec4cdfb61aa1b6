"""go-on COMMAND: as at gdb's prompt, a command that fails does not end the script."""
import gdb


class GoOn(gdb.Command):
    def __init__(self):
        super().__init__("go-on", gdb.COMMAND_USER)

    def invoke(self, line, from_tty):
        try:
            gdb.execute(line)
        except gdb.error as e:
            gdb.write("%s\n" % e)


GoOn()
