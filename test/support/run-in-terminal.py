"""Runs a program at a terminal of its own: run-in-terminal.py COLUMNS ROWS PROGRAM [ARG...]

Standard input is typed, what the terminal shows goes to standard output, the program's exit code
(128 and the number of a signal that ended it) is this one's. A line of input that starts with byte
0 gives the terminal a new size: "\\0COLUMNS ROWS\\n".
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios


def resize(terminal, columns, rows):
    size = struct.pack("HHHH", int(rows), int(columns), 0, 0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)


def typed(terminal, data):
    if not data.startswith(b"\0"):
        os.write(terminal, data)
        return
    line, _, rest = data[1:].partition(b"\n")
    resize(terminal, *line.split())
    if rest:
        os.write(terminal, rest)


def main():
    columns, rows, program = sys.argv[1], sys.argv[2], sys.argv[3:]
    ready, go = os.pipe()
    child, terminal = pty.fork()
    if child == 0:
        os.close(go)
        os.read(ready, 1)
        os.execvp(program[0], program)
    os.close(ready)
    resize(terminal, columns, rows)
    os.close(go)
    waits = [terminal, 0]
    while True:
        readable, _, _ = select.select(waits, [], [])
        if 0 in readable:
            data = os.read(0, 4096)
            if data:
                typed(terminal, data)
            else:
                waits.remove(0)
        if terminal in readable:
            try:
                data = os.read(terminal, 4096)
            except OSError:
                break
            if not data:
                break
            os.write(1, data)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(code if code >= 0 else 128 - code)


main()
