"""A raw client of the GDB remote protocol, and a nestscope to talk to: what the
tests and benches that need thousands of packets use in place of gdb."""
import re
import socket
import subprocess


class Client:
    """One connection. Packets are bytes without '$' and checksum."""

    def __init__(self, port, hello=True):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(60)
        self.held = b""
        if hello:
            self.ask("qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+")
            self.ask("QStartNoAckMode")

    @staticmethod
    def frame(payload):
        if isinstance(payload, str):
            payload = payload.encode("latin1")
        return b"$" + payload + b"#%02x" % (sum(payload) & 0xff)

    def send(self, payload):
        self.sock.sendall(self.frame(payload))

    def receive_raw(self):
        """The next packet's payload as it is on the wire."""
        parts = [self.held]
        while True:
            data = parts[-1]
            if b"#" in data and (end := (joined := b"".join(parts)).find(b"#")) >= 0:
                if len(joined) >= end + 3:
                    break
            parts.append(self.sock.recv(1 << 20))
            if not parts[-1]:
                raise EOFError("the stub closed the connection")
        self.held = joined[end + 3:]
        return joined[joined.find(b"$") + 1:end]

    def receive(self):
        """The next packet's payload, unescaped (run-lengths are not used)."""
        body = self.receive_raw()
        if b"}" in body:
            body = re.sub(rb"}(.)", lambda m: bytes([m[1][0] ^ 0x20]), body, flags=re.S)
        return body.decode("latin1")

    def ask(self, payload):
        self.send(payload)
        return self.receive()

    def monitor(self, line):
        out = self.ask("qRcmd," + line.encode().hex())
        return "" if out == "OK" else bytes.fromhex(out).decode()

    def interrupt(self):
        self.sock.sendall(b"\x03")


class Nestscope:
    """A nestscope with a gdb listener on a free port of loopback."""

    def __init__(self, binary, *args, listen=""):
        self.process = subprocess.Popen(
            [binary, "run", "--batch", "--serial", "none", "--gdb", "tcp:0" + listen, *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for line in self.process.stderr:
            found = re.search(rb"target remote .*:(\d+)", line)
            if found:
                self.port = int(found[1])
                return
        raise RuntimeError("nestscope has no gdb listener")

    def user_seconds(self):
        """Processor time of the process so far, in user mode."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            return int(f.read().rsplit(")", 1)[1].split()[11]) / 100

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
