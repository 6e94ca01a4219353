"""Serves register images with pymodbus, a Modbus server that none of us wrote.

usage: serve.py IMAGES.json tcp            prints "port N" once it listens on loopback
       serve.py IMAGES.json rtu PATH       speaks RTU on a serial line

IMAGES.json: {"1": {"100": [1, 2, 3]}, ...}, by unit and first address; the same words stand in holding and
input registers. Units that are not there do not answer.
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


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        images = json.load(file)
    devices = {int(unit): ModbusDeviceContext(hr=block(image), ir=block(image)) for unit, image in images.items()}
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
    await asyncio.Event().wait()


asyncio.run(main())
