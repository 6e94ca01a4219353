"""Bounds the stack of an image from its machine code: prints the bound, as shell assignments.

    depth.py <image> <levels> [--way]

Every function's frame is the sum of all its decrements of sp, which is at least what it takes. Calls are what the code says (BL, and
branches that leave a function). A cycle of them has no bound and ends this program with an error, as does stack that is taken by a
register, or set to one anywhere but in the handlers of faults, which end a life. Where the code calls through a register, any function
whose address is kept somewhere may be meant, but none that is already on the way: nothing here recurses by pointers. On top
come NMI, HardFault and the deepest handlers of `levels` interrupt priorities (those of one priority do not interrupt each other),
each with the 26 words that the processor stacks with a floating-point unit. An embassy task is run by an executor alone, and the
deepest of them by the program's own, so no handler runs that one.

Source of the encodings: Arm DDI0403E, A7.7 (Thumb and Thumb-2).
"""

import struct
import sys

EXCEPTION_FRAME = 26 * 4 + 4
FUNCTION, NOTHING = 2, 0

data = open(sys.argv[1], "rb").read()
header_at, = struct.unpack_from("<I", data, 32)
header_size, header_count, names_index = struct.unpack_from("<HHH", data, 46)
sections = [struct.unpack_from("<10I", data, header_at + i * header_size) for i in range(header_count)]
# Variables with a start value are among them: they too may keep the address of a function.
loaded = [(s[3], data[s[4] : s[4] + s[5]]) for s in sections if s[1] == 1 and s[2] & 2]


def text(base, offset):
    return data[base + offset : data.index(b"\0", base + offset)].decode()


functions, literals, vectors = {}, [], None
for kind, flags, address, offset, length, link in [(s[1], s[2], s[3], s[4], s[5], s[6]) for s in sections]:
    if kind != 2:
        continue
    for at in range(offset, offset + length, 16):
        name, value, size, info = struct.unpack_from("<IIIB", data, at)
        name = text(sections[link][4], name)
        if info & 15 == FUNCTION and size:
            functions[value & ~1] = (size, name)
        elif info & 15 == NOTHING and name[:2] in ("$t", "$d"):
            literals.append((value, name[:2] == "$d"))
        elif name == "__vector_table":
            vectors = value
literals.sort()


def word(address, form="<H"):
    for base, content in loaded:
        if base <= address < base + len(content):
            return struct.unpack_from(form, content, address - base)[0]
    raise LookupError(hex(address))


def spans(start, end):
    """The pieces of a function that are instructions."""
    marks = [(at, is_data) for at, is_data in literals if start <= at < end]
    marks = [(start, False)] + marks + [(end, True)]
    for (at, is_data), (to, _) in zip(marks, marks[1:]):
        if not is_data and at < to:
            yield at, to


def signed(value, bits):
    return value - (1 << bits) if value >> (bits - 1) else value


def constant(high, low):
    """A modified immediate (A5.3.2)."""
    packed = (high >> 10 & 1) << 11 | (low >> 12 & 7) << 8 | low & 0xFF
    if packed < 0x400:
        byte = packed & 0xFF
        return [byte, byte << 16 | byte, byte << 24 | byte << 8, byte * 0x0101_0101][packed >> 8]
    byte, by = 0x80 | packed & 0x7F, packed >> 7
    return (byte >> by | byte << (32 - by)) & 0xFFFF_FFFF


def read(start, size):
    """A function's frame, the functions it goes to, whether it calls through a register, and the addresses it makes."""
    frame, targets, indirect, made, halves = 0, set(), False, set(), {}
    name = functions[start][1]
    for at, end in spans(start, start + size):
        while at < end:
            high, length = word(at), 2
            if high >> 11 >= 0b11101:
                low, length = word(at + 2), 4
                if high == 0xE92D:
                    frame += 4 * low.bit_count()
                elif high == 0xF84D and low & 0xF00 == 0xD00:
                    frame += low & 0xFF
                elif high == 0xE96D or high & 0xFFBF == 0xED2D and low & 0xE00 == 0xA00:
                    frame += 4 * (low & 0xFF)
                elif high & 0xFBFF == 0xF1AD and low & 0x8F00 == 0x0D00:
                    frame += constant(high, low)
                elif high & 0xFBFF == 0xF2AD and low & 0x8F00 == 0x0D00:
                    frame += (high >> 10 & 1) << 11 | (low >> 12 & 7) << 8 | low & 0xFF
                elif high & 0xFFE0 == 0xEBA0 and low & 0x0F00 == 0x0D00:
                    sys.exit(f"{name} takes stack by a register")
                elif (high == 0xEA4F and low & 0xF00 == 0xD00 or high & 0xFFF0 == 0xF380 and low & 0xFE == 8) and start not in faults:
                    sys.exit(f"{name} sets its stack to a register")  # MOV.W sp, MSR MSP or PSP
                elif high & 0xFB70 == 0xF240 and not low & 0x8000:  # MOVW, MOVT
                    half = (high & 15) << 12 | (high >> 10 & 1) << 11 | (low >> 12 & 7) << 8 | low & 0xFF
                    register = low >> 8 & 15
                    if high & 0x80:
                        made.add(half << 16 | halves.get(register, 0))
                    else:
                        halves[register] = half
                elif high & 0xF800 == 0xF000 and low & 0x8000:
                    sign = high >> 10 & 1
                    if low & 0x1000:  # BL, B.W
                        j1, j2 = low >> 13 & 1, low >> 11 & 1
                        value = sign << 24 | (1 - (j1 ^ sign)) << 23 | (1 - (j2 ^ sign)) << 22 | (high & 0x3FF) << 12 | (low & 0x7FF) << 1
                        target = at + 4 + signed(value, 25)
                        if low & 0x4000 and target == start:
                            sys.exit(f"{name} calls itself, so there is no bound")
                        targets.add(target)
                    elif high >> 7 & 7 != 7:  # conditional B.W
                        value = sign << 20 | (low >> 11 & 1) << 19 | (low >> 13 & 1) << 18 | (high & 0x3F) << 12 | (low & 0x7FF) << 1
                        targets.add(at + 4 + signed(value, 21))
            elif high & 0xFF87 in (0x4685, 0x4485) and start not in faults:  # MOV sp, ADD sp
                sys.exit(f"{name} sets its stack to a register")
            elif high & 0xFE00 == 0xB400:
                frame += 4 * (high & 0x1FF).bit_count()
            elif high & 0xFF80 == 0xB080:
                frame += 4 * (high & 0x7F)
            elif high & 0xFF87 == 0x4780 or high & 0xFF87 == 0x4700 and high >> 3 & 15 != 14:
                indirect = True
            elif high >> 11 == 0b11100:
                targets.add(at + 4 + signed((high & 0x7FF) << 1, 12))
            elif high >> 12 == 0b1101 and high >> 8 & 15 < 14:
                targets.add(at + 4 + signed((high & 0xFF) << 1, 9))
            at += length
    outside = {target for target in targets if not start <= target < start + size}
    return frame, outside & functions.keys(), indirect, made


# NMI and HardFault.
faults = {word(vectors + at, "<I") & ~1 for at in (8, 12)}
code = {start: read(start, size) for start, (size, _) in functions.items()}


def refuse_cycles():
    """Ends this program where functions call each other directly, wherever in the image they stand."""
    done = set()
    for first in code:
        way, left = [first], [set(code[first][1])]
        while way:
            if not left[-1]:
                done.add(way.pop())
                left.pop()
                continue
            target = left[-1].pop()
            if target in way:
                cycle = [functions[start][1] for start in way[way.index(target) :]]
                sys.exit(f"these call each other, so there is no bound: {', '.join(cycle)}")
            if target not in done:
                way.append(target)
                left.append(set(code[target][1]))


refuse_cycles()
kept = {made & ~1 for _, _, _, each in code.values() for made in each if made & 1}
table_end = min((start for start in functions if start > vectors), default=vectors)
for base, content in loaded:
    for at in range(0, len(content) - 3, 4):
        value, = struct.unpack_from("<I", content, at)
        if value & 1 and not vectors <= base + at < table_end:
            kept.add(value & ~1)
kept &= functions.keys()
# By their mangled names, in either of the compiler's two manners.
tasks = {start for start in kept if "TaskStorage" in functions[start][1] and "4poll" in functions[start][1]}
executors = {start for start, (_, name) in functions.items() if "8Executor4poll" in name}
if tasks and not executors:
    sys.exit("there are tasks and nothing that runs them: their names are not those this program knows")

by_way = {}
known = {}


def depends_on_way(start):
    """True where something below calls through a register."""
    if start not in by_way:
        by_way[start] = True
        by_way[start] = code[start][2] or any([depends_on_way(target) for target in code[start][1]])
    return by_way[start]


def depth(start, way, runnable):
    """The most stack that a call of this function takes, and the way there; nothing where it would come back to `way`."""
    if start in way:
        return None
    if start in known:
        return known[start]
    frame, targets, indirect, _ = code[start]
    best = (0, [])
    for target in targets:
        below = depth(target, way | {start}, runnable)
        if below is None:
            # No direct calls come back, so a target of a register was guessed, and the guess was wrong.
            return None
        best = max(best, below)
    meant = (runnable if start in executors else kept - tasks) if indirect else ()
    for target in meant:
        best = max(best, depth(target, way | {start}, runnable) or best)
    result = frame + best[0], [start] + best[1]
    if not depends_on_way(start):
        known[start] = result
    return result


program, way = depth(word(vectors + 4, "<I") & ~1, frozenset(), tasks)
others = tasks - {start for start in way if start in tasks}
handlers = {}
for at in range(vectors + 8, table_end, 4):
    handler = word(at, "<I") & ~1
    if word(at, "<I") & 1 and handler in functions:
        handlers[at - vectors] = handler
deepest = {handler: EXCEPTION_FRAME + depth(handler, frozenset(), others)[0] for handler in handlers.values()}
levels = sorted((deepest[handler] for handler in deepest.keys() - faults), reverse=True)[: int(sys.argv[2])]
if "--way" in sys.argv:
    for start in way:
        print(f"# {code[start][0]:5} {functions[start][1]}", file=sys.stderr)
    for handler, its in deepest.items():
        print(f"# handler {its:5} {functions[handler][1]}", file=sys.stderr)
print(f"depth={program + sum(deepest[handler] for handler in faults & deepest.keys()) + sum(levels)}")
