#!/usr/bin/env python3
"""Speaks CMQ's TCP protocol from its frame description alone, and prints what came of it as JSON.

Use:  tcp.py HOST:PORT,HOST:PORT,... QUEUE TRANSACTION_QUEUE
"""

import base64
import hashlib
import hmac
import json
import socket
import struct
import sys
import time

AUTH, SEND, BATCH_SEND, PULL, DELETE, HEARTBEAT, CONFIRM, QUERY = 1020, 1021, 1022, 1023, 1025, 1040, 1041, 1042


def varint(number):
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def read(data):
    """Fields of a message: number -> values."""
    fields, at = {}, 0

    def number():
        nonlocal at
        shift = value = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            value = number()
        elif key & 7 == 2:
            length = number()
            value = data[at:at + length]
            at += length
        else:
            raise ValueError("wire type %d" % (key & 7))
        fields.setdefault(key >> 3, []).append(value)
    return fields


class Connection:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.seqno = 0
        self.pushed = []

    def say(self, cmd, number=None, body=b"", oneway=False):
        self.seqno += 1
        message = field(1, self.seqno) + field(2, cmd)
        message += field(9, 1) if oneway else b""
        message += field(number, body) if number else b""
        self.socket.sendall(b"\0\0" + struct.pack("<I", len(message) + 6) + message)
        return self.seqno

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError("the server closed the connection")
            data += part
        return data

    def hear(self):
        head = self.exactly(6)
        assert head[:2] == b"\0\0", head
        return read(self.exactly(struct.unpack("<I", head[2:])[0] - 6))

    def answer(self, seqno):
        """The answer to a request; what the server asks meanwhile is kept."""
        while True:
            heard = self.hear()
            if heard[2][0] == QUERY:
                self.pushed.append(read(heard[223][0]))
            elif heard[1][0] == seqno:
                return heard

    def question(self):
        while not self.pushed:
            heard = self.hear()
            if heard[2][0] == QUERY:
                self.pushed.append(read(heard[223][0]))
        return self.pushed.pop(0)

    def login(self, key="local"):
        client = "127.0.0.1@DEFAULT"
        signature = base64.b64encode(hmac.new(key.encode(), (client + "AKIDlocal").encode(), hashlib.sha1).digest())
        body = field(1, "AKIDlocal") + field(2, signature) + field(3, client) + field(4, "HmacSHA1")
        return result(self.answer(self.say(AUTH, 199, body)))


def result(answer):
    return answer.get(3, [0])[0]


def main():
    addresses, queue, halves = sys.argv[1].split(","), sys.argv[2], sys.argv[3]
    said = {}
    stranger = Connection(addresses[0])
    said["not logged in"] = result(stranger.answer(stranger.say(HEARTBEAT))) == 0
    said["wrong key"] = Connection(addresses[0]).login("wrong") != 0
    a, b = Connection(addresses[0]), Connection(addresses[1])
    said["login"] = [a.login(), b.login()]

    # Many requests under way at once; their answers carry their numbers.
    asked = [a.say(SEND, 200, field(1, queue) + field(2, b"hello %d" % number)) for number in range(20)]
    answers = {}
    while len(answers) < len(asked):
        heard = a.hear()
        answers[heard[1][0]] = heard
    said["pipelined"] = sorted(answers) == asked and all(result(answer) == 0 for answer in answers.values())
    bodies = []
    for _ in range(20):
        pulled = b.answer(b.say(PULL, 202, field(1, queue) + field(2, 5)))
        message = read(pulled[26][0])
        bodies.append(message[4][0].decode())
        deleted = b.answer(b.say(DELETE, 206, field(1, queue) + field(2, message[3][0])))
        said.setdefault("deleted", []).append(result(deleted))
    said["deleted"] = set(said["deleted"]) == {0}
    said["pulled"] = sorted(bodies) == sorted("hello %d" % number for number in range(20))
    said["empty"] = result(b.answer(b.say(PULL, 202, field(1, queue) + field(2, 0))))

    # Two half messages; the server asks after them down the producer's connection.
    kept = [a.answer(a.say(SEND, 200, field(1, halves) + field(2, body) + field(4, 1))) for body in (b"yes", b"no")]
    yes, no = [answer[29][0] for answer in kept]
    said["invisible"] = result(b.answer(b.say(PULL, 202, field(1, halves) + field(2, 0))))
    asked = {a.question()[2][0] for _ in range(2)}
    said["asked"] = asked == {yes, no}
    items = field(2, field(1, yes) + field(2, 1)) + field(2, field(1, no) + field(2, 2))
    a.say(CONFIRM, 221, field(1, halves) + items, oneway=True)
    pulled = b.answer(b.say(PULL, 202, field(1, halves) + field(2, 10)))
    said["committed"] = read(pulled[26][0])[4][0].decode()
    time.sleep(0.2)
    said["rolled back"] = result(b.answer(b.say(PULL, 202, field(1, halves) + field(2, 0))))
    print(json.dumps(said))


if __name__ == "__main__":
    main()
