"""Rules of nftables for what the nodes of a cluster send each other, said to the kernel itself.

Why: the kernel's part is nearly everywhere where root is, the `nft` command is not; and a rule here needs six words of it.

    rules = Rules("tercet_chaos")            a table of its own, in the family inet
    rules.chain("cuts", "filter", 0)         what leaves this network namespace passes it
    rules.rule("cuts", group(97001), dport(7101), DROP)
    rules.commit()                           all of it at once, or nothing

Must never: touch a table that is not named here.
"""

import os
import socket
import struct

NEWTABLE, DELTABLE, NEWCHAIN, NEWRULE, DELRULE = 0, 2, 3, 6, 8
BATCH_BEGIN, BATCH_END = 16, 17
SUBSYSTEM, INET, LOCAL_OUT = 10, 1, 3
REQUEST, ACK, CREATE, APPEND, NESTED = 0x1, 0x4, 0x400, 0x800, 0x8000
ERROR = 2
EQUAL, NOT_EQUAL, LESS = 0, 1, 2


def attribute(kind, value):
    """One attribute: a number is 32 bits, a text ends with a zero, a list holds attributes."""
    if isinstance(value, list):
        kind, value = kind | NESTED, b"".join(value)
    elif isinstance(value, int):
        value = struct.pack("!I", value & 0xFFFFFFFF)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def expression(name, **fields):
    """One step of a rule; `a1=…` is its attribute 1."""
    data = [attribute(int(key[1:]), value) for key, value in fields.items()]
    return attribute(1, [attribute(1, name), attribute(2, data)])


def holds(value, how=EQUAL):
    return expression("cmp", a1=1, a2=how, a3=[attribute(1, value)])


def machine(number):
    """A number as the machine keeps it: what a packet does not carry."""
    return struct.pack("=I", number)


def constant(value):
    return expression("immediate", a1=1, a2=[attribute(1, value)])


def group(number):
    """Sent by a process of this group."""
    return expression("meta", a1=1, a2=11) + holds(machine(number))


def dport(port):
    """TCP, to this port."""
    tcp = expression("meta", a1=1, a2=16) + holds(bytes([socket.IPPROTO_TCP]))
    return tcp + expression("payload", a1=1, a2=2, a3=2, a4=2) + holds(struct.pack("!H", port))


def marked(number, how=EQUAL):
    """Of a connection with this mark."""
    return expression("ct", a1=1, a2=3) + holds(machine(number), how)


def way(is_reply):
    """From who made the connection, or back to him."""
    return expression("ct", a1=1, a2=1) + holds(bytes([is_reply]))


def chance(of_thousand):
    """So often of a thousand times."""
    drawn = expression("numgen", a1=1, a2=1000, a3=1) + expression("byteorder", a1=1, a2=1, a3=1, a4=4, a5=4)
    return drawn + holds(struct.pack("!I", of_thousand), LESS)


def mark(number):
    """Gives the connection a mark."""
    return constant(machine(number)) + expression("ct", a2=3, a4=1)


def redirect(port):
    """Sends a new connection to a port of this machine."""
    return constant(struct.pack("!H", port)) + expression("redir", a1=1)


DROP = expression("immediate", a1=0, a2=[attribute(2, [attribute(1, 0)])])
RESET = expression("reject", a1=1, a2=b"\0")


class Rules:
    """Changes of one table."""

    def __init__(self, table):
        self.table, self.changes = table, []

    def _add(self, kind, flags, *attributes):
        self.changes.append((kind, flags, b"".join(attributes)))

    def clear(self):
        """An end of the table and all in it, whether it is there or not."""
        self._add(NEWTABLE, CREATE, attribute(1, self.table))
        self._add(DELTABLE, 0, attribute(1, self.table))

    def begin(self):
        """The table, empty."""
        self.clear()
        self._add(NEWTABLE, CREATE, attribute(1, self.table))

    def chain(self, name, kind, priority):
        hook = [attribute(1, LOCAL_OUT), attribute(2, priority)]
        self._add(NEWCHAIN, CREATE, attribute(1, self.table), attribute(3, name), attribute(4, hook), attribute(7, kind))

    def flush(self, chain):
        self._add(DELRULE, 0, attribute(1, self.table), attribute(2, chain))

    def rule(self, chain, *steps):
        self._add(NEWRULE, CREATE | APPEND, attribute(1, self.table), attribute(2, chain), attribute(4, list(steps)))

    def commit(self):
        """Does all that was said. Raises OSError: the kernel refuses, and nothing was changed."""
        begin = struct.pack("!BBH", 0, 0, SUBSYSTEM)
        messages = [message(BATCH_BEGIN, REQUEST, 0, begin)]
        for number, (kind, flags, body) in enumerate(self.changes, 1):
            head = struct.pack("!BBH", INET, 0, 0)
            messages.append(message(SUBSYSTEM << 8 | kind, REQUEST | ACK | flags, number, head + body))
        messages.append(message(BATCH_END, REQUEST, len(self.changes) + 1, begin))
        waiting, self.changes = set(range(1, len(self.changes) + 1)), []
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as kernel:
            kernel.settimeout(5)
            kernel.bind((0, 0))
            kernel.sendto(b"".join(messages), (0, 0))
            while waiting:
                waiting -= answered(kernel.recv(1 << 20))


def message(kind, flags, number, body):
    return struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body


def answered(packet):
    """The changes that were done. Raises OSError for one that was not."""
    done = set()
    while len(packet) >= 20:
        length, kind, _, number, _, code = struct.unpack("=IHHIIi", packet[:20])
        if kind == ERROR and code:
            raise OSError(-code, f"nftables refuses change {number}: {os.strerror(-code)}")
        done.add(number)
        packet = packet[(length + 3) & ~3:]
    return done


def is_here():
    """Whether this process may change rules."""
    rules = Rules("tercet_try")
    rules.begin()
    rules.clear()
    try:
        rules.commit()
    except OSError:
        return False
    return True
