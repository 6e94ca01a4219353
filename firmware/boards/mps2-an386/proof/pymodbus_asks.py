"""Asks a node over a serial line with pymodbus and prints one line a question: the words, or the exception's code.

    pymodbus_asks.py <port> <unit> <question>...

A question is `holding:<address>:<count>`, `input:<address>:<count>`, `coils:<address>:<count>`, `discrete:<address>:<count>`,
`write:<address>:<word>` (function 6) or `write-many:<address>:<word>,<word>...` (function 16). All in decimal.
"""

import sys

from pymodbus.client import ModbusSerialClient

port, unit, *questions = sys.argv[1:]
client = ModbusSerialClient(port, baudrate=9600, parity="N", stopbits=1, timeout=5, retries=3)
if not client.connect():
    sys.exit(f"pymodbus cannot open {port}")
for question in questions:
    kind, address, what = question.split(":")
    at = {"address": int(address), "device_id": int(unit)}
    if kind == "write":
        answer = client.write_register(value=int(what), **at)
    elif kind == "write-many":
        answer = client.write_registers(values=[int(word) for word in what.split(",")], **at)
    else:
        ask = {
            "holding": client.read_holding_registers,
            "input": client.read_input_registers,
            "coils": client.read_coils,
            "discrete": client.read_discrete_inputs,
        }[kind]
        answer = ask(count=int(what), **at)
    if answer.isError():
        print("exception", answer.exception_code)
    else:
        print("words", *getattr(answer, "registers", []))
client.close()
