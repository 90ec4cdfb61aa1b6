#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""exits.py NESTSCOPE GUEST-OPTIONS... - drives a run over the control socket.

Starts nestscope with --control, subscribes to the exits of L2, runs the guest
to its end, and prints how many exits there were by reason. The protocol is
lines of JSON; any language with sockets and JSON can do the same.
"""
import collections
import json
import os
import socket
import subprocess
import sys
import tempfile
import time


class Nestscope:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        while True:  # until it listens
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.number = 0
        self.on_event = lambda event: None

    def ask(self, **request):
        """Sends a request and returns its answer; events that come before it
        go to on_event."""
        self.number += 1
        request["id"] = self.number
        self.socket.sendall((json.dumps(request) + "\n").encode())
        for line in self.lines:
            message = json.loads(line)
            if "event" in message:
                self.on_event(message)
            elif message.get("id") == self.number:
                if not message["ok"]:
                    raise RuntimeError(message["error"])
                return message
        raise EOFError("nestscope is gone")


def main():
    exe, guest = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "control")
        process = subprocess.Popen([exe, "run", "--batch", "--serial", "none", "--control",
                                    "unix:" + path] + guest, stdin=subprocess.DEVNULL)
        machine = Nestscope(path)
        count = collections.Counter()
        machine.on_event = lambda event: count.update([event["reason"]])
        machine.ask(subscribe="exit", filter={"level": 2})
        stop = machine.ask(command="continue", wait=True)["stop"]
        print("stopped:", stop["text"])
        for reason, n in count.most_common():
            print(f"{reason:20} {n}")
        machine.ask(command="quit")
        process.wait()


main()
