"""Serves register images with pymodbus, a Modbus server that none of us wrote.

usage: serve.py IMAGES.json TROUBLE tcp            prints "port N" once it listens on loopback
       serve.py IMAGES.json TROUBLE rtu PATH       speaks RTU on a serial line

TROUBLE: 0 for none, or a seed: then one question in ten is refused with an exception, one in ten is answered late (one
in fifty later than anybody waits), and one answer in ten is noise: changed bits (over TCP, whose own check sums leave no
wrong data through, only in the head), cut short, doubled, or with bytes before it that nobody asked for.

IMAGES.json: {"1": {"words": {"100": [1, 2, 3]}, "coils": {}, "inputs": {}, "beats": [7]}, ...}, by unit and first
address; the same words stand in holding and input registers; the registers in "beats" count up. Units that are
not there do not answer.
"""

import asyncio
import json
import os
import random
import sys
import time

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import ModbusSerialServer, ModbusTcpServer


def block(image):
    # pymodbus counts registers from 1: the word at address 0 stands in the second place.
    words = [0] * 65536
    for first, values in image.items():
        words[int(first) : int(first) + len(values)] = values
    return ModbusSequentialDataBlock(0, [0] + words[:65535])


class Device(ModbusDeviceContext):
    """A device that is sometimes busy and sometimes slow.

    Everything waits for a slow one: while pymodbus awaits values it takes in the next question, and would then send the old
    answer in the name of the new unit.
    """

    chance = None

    async def async_getValues(self, func_code, address, count=1):
        if self.chance:
            draw = self.chance.random()
            if draw < 0.1:
                return self.chance.choice([ExcCodes.DEVICE_BUSY, ExcCodes.DEVICE_FAILURE, ExcCodes.ACKNOWLEDGE])
            if draw < 0.12:
                time.sleep(2.6)
            elif draw < 0.2:
                time.sleep(self.chance.uniform(0.05, 0.5))
        return self.getValues(func_code, address, count)


def noise(chance, over_tcp):
    """Changes what the server sends, now and then."""

    def change(sending, packet):
        if not sending or not chance or chance.random() >= 0.1:
            return packet
        kind = chance.choice(["bits", "cut", "twice", "before"])
        if kind == "bits":
            changed = bytearray(packet)
            # Two bits at most: all of these a CRC finds.
            for _ in range(chance.randint(1, 2)):
                changed[chance.randrange(6 if over_tcp else len(changed))] ^= 1 << chance.randrange(8)
            return bytes(changed)
        if kind == "cut":
            return packet[: chance.randrange(len(packet))]
        if kind == "twice":
            return packet + packet
        return bytes(chance.randrange(256) for _ in range(chance.randint(1, 12))) + packet

    return change


heard = set()


def hear(sending, pdu):
    """Notes each function asked for, where simulated devices note theirs (firmware/boards/simulated/src/heard.rs)."""
    address = 0 if pdu.function_code in (1, 2, 3, 4) else getattr(pdu, "address", 0)
    asked = (pdu.function_code, address)
    folder = os.environ.get("DAVY_ARTEFACTS")
    if not sending and folder and asked not in heard:
        heard.add(asked)
        with open(os.path.join(folder, "bus-heard.log"), "a", encoding="ascii") as file:
            file.write(f"{asked[0]} {asked[1]} pymodbus\n")
    return pdu


async def beat(blocks):
    while True:
        await asyncio.sleep(1)
        for words, register in blocks:
            number = words.getValues(register + 1, 1)[0]
            words.setValues(register + 1, [(number + 1) % 65536])


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        images = json.load(file)
    seed, road = int(sys.argv[2]), sys.argv[3]
    Device.chance = random.Random(seed) if seed else None
    traces = {"trace_packet": noise(Device.chance, road == "tcp"), "trace_pdu": hear}
    devices, beats = {}, []
    for unit, image in images.items():
        words = block(image["words"])
        beats += [(words, register) for register in image["beats"]]
        devices[int(unit)] = Device(
            hr=words, ir=block(image["words"]), co=block(image["coils"]), di=block(image["inputs"])
        )
    context = ModbusServerContext(devices=devices, single=False)
    if road == "tcp":
        server = ModbusTcpServer(context, address=("127.0.0.1", 0), **traces)
        await server.serve_forever(background=True)
        port = server.transport.sockets[0].getsockname()[1]
        print(f"port {port}", flush=True)
    else:
        server = ModbusSerialServer(context, framer=FramerType.RTU, port=sys.argv[4], baudrate=19200, **traces)
        await server.serve_forever(background=True)
        print("ready", flush=True)
    await beat(beats)


asyncio.run(main())
