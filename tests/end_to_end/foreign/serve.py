"""Serves register images with pymodbus, a Modbus server that none of us wrote.

usage: serve.py IMAGES.json tcp            prints "port N" once it listens on loopback
       serve.py IMAGES.json rtu PATH       speaks RTU on a serial line

IMAGES.json: {"1": {"words": {"100": [1, 2, 3]}, "coils": {}, "inputs": {}, "beats": [7]}, ...}, by unit and first
address; the same words stand in holding and input registers; the registers in "beats" count up. Units that are
not there do not answer.
"""

import asyncio
import json
import sys

from pymodbus import FramerType
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import ModbusSerialServer, ModbusTcpServer


def block(image):
    # pymodbus counts registers from 1: the word at address 0 stands in the second place.
    words = [0] * 65536
    for first, values in image.items():
        words[int(first) : int(first) + len(values)] = values
    return ModbusSequentialDataBlock(0, [0] + words[:65535])


async def beat(blocks):
    while True:
        await asyncio.sleep(1)
        for words, register in blocks:
            number = words.getValues(register + 1, 1)[0]
            words.setValues(register + 1, [(number + 1) % 65536])


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        images = json.load(file)
    devices, beats = {}, []
    for unit, image in images.items():
        words = block(image["words"])
        beats += [(words, register) for register in image["beats"]]
        devices[int(unit)] = ModbusDeviceContext(
            hr=words, ir=block(image["words"]), co=block(image["coils"]), di=block(image["inputs"])
        )
    context = ModbusServerContext(devices=devices, single=False)
    if sys.argv[2] == "tcp":
        server = ModbusTcpServer(context, address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        port = server.transport.sockets[0].getsockname()[1]
        print(f"port {port}", flush=True)
    else:
        server = ModbusSerialServer(context, framer=FramerType.RTU, port=sys.argv[3], baudrate=19200)
        await server.serve_forever(background=True)
        print("ready", flush=True)
    await beat(beats)


asyncio.run(main())
