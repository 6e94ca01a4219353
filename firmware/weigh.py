"""Prints flash, static RAM and the room of the stack of an image, as shell assignments.

From the ELF's own section headers and symbols, so that no tool of another architecture is needed. `stack_end` is the lowest
address of the stack: below it there is no memory, so that a stack which grows too deep faults instead of overwriting a variable.
"""

import struct
import sys

RAM = 0x2000_0000
ALLOCATED, PROGBITS, SYMBOLS = 2, 1, 2

data = open(sys.argv[1], "rb").read()
at, = struct.unpack_from("<I", data, 32)
size, count = struct.unpack_from("<HH", data, 46)


def section(index):
    return struct.unpack_from("<10I", data, at + index * size)


flash = ram = 0
symbols = {}
for index in range(count):
    _, kind, flags, address, offset, length, link, *_ = section(index)
    if kind == SYMBOLS:
        names = section(link)[4]
        for entry in range(offset, offset + length, 16):
            name, value = struct.unpack_from("<II", data, entry)
            symbols[data[names + name : data.index(b"\0", names + name)].decode()] = value
    if not flags & ALLOCATED or not length:
        continue
    if address >= RAM:
        ram += length
        # Variables with a start value have a copy in flash.
        flash += length if kind == PROGBITS and data[offset : offset + length].strip(b"\0") else 0
    else:
        flash += length
start, end = symbols["_stack_start"], symbols["_stack_end"]
print(f"flash={flash} ram={ram} stack_start={start} stack_end={end} stack={start - end}")
