"""A local cluster as the scripts of this folder see it: its file, its processes, its leader, the operators' command.

Must never: signal a process that is not a node of the named cluster (the operators' command looks first), or leave a
fault behind: `Undo` runs what takes a fault back, however the script ends.
"""

import argparse
import atexit
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
VERB_SECS_MAX = 120  # a start waits a minute for its node; no verb that a script says takes longer
REFUSED = 2  # exit code: the fault cannot be done here; 1: it was done and something is wrong


def die(text, code=REFUSED):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)


def tell(kind, error, trace):
    """What could not be done is a sentence; a fault of a script is shown as it is."""
    if issubclass(kind, RuntimeError):
        print(f"error: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


# Python's exit code is 1 in either case.
sys.excepthook = tell


def binary():
    """The operators' command: TERCET_CLUSTER, or the one that the build made."""
    target = os.environ.get("CARGO_TARGET_DIR", os.path.expanduser("~/.cache/tercet/target"))
    path = os.environ.get("TERCET_CLUSTER", os.path.join(target, "release", "cluster"))
    return path if os.access(path, os.X_OK) else die(f"{path} is missing: build it, or set TERCET_CLUSTER")


def arguments(about, **settings):
    """A parser that every script begins with."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)
    parser.add_argument("--dir", default=os.environ.get("TERCET_DIR", "./tercet-local"), help="folder of the cluster")
    return parser


class Undo:
    """Takes faults back in reverse order at the end of the script, also after ^C and SIGTERM."""

    def __init__(self):
        self.steps = []
        atexit.register(self.run)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def add(self, step):
        self.steps.append(step)

    def run(self):
        while self.steps:
            self.steps.pop()()


class Arena:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()
        if not (self.folder / "cluster.json").is_file():
            die(f"{folder}: no cluster here")

    def nodes(self):
        """Queue nodes: {name: entry}."""
        return {node["node"]: node for node in json.loads((self.folder / "cluster.json").read_text())["queue"]}

    def is_alive(self, name):
        try:
            line = pathlib.Path(f"/proc/{self.nodes()[name]['pid']}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return str(self.folder / name).encode() in line

    def run(self, *words, check=True, **settings):
        """A verb of the operators' command; returns whether it was done."""
        command = [binary(), *words, "--dir", str(self.folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=VERB_SECS_MAX, **settings)
        except subprocess.TimeoutExpired as late:
            raise RuntimeError(f"cluster {' '.join(words)}: no end within {VERB_SECS_MAX} s") from late
        if check and done.returncode != 0:
            raise RuntimeError(f"cluster {' '.join(words)}: {done.stderr.strip()}")
        return done.returncode == 0

    def start(self, name, **settings):
        if not self.is_alive(name):
            self.run("start", name, **settings)

    def start_all(self):
        for name in self.nodes():
            self.start(name)

    def leader(self, within=20.0):
        """The name of the node that leads the first queue group."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            done = subprocess.run(
                [binary(), "status", "-o", "json", "--dir", str(self.folder)], capture_output=True, text=True
            )
            try:
                for node in json.loads(done.stdout)["nodes"]:
                    for group in node.get("groups") or []:
                        if group["group"] == 1 and group["role"].lower() == "leader":
                            return node["node"]
            except (ValueError, KeyError):
                pass
            time.sleep(0.1)
        raise RuntimeError("the first queue group has no leader")

    def choose(self, target, dice):
        """Names for a target: leader, follower, any, majority, all, or a node's name."""
        names = sorted(self.nodes())
        if target == "all":
            return names
        if target == "any":
            return [dice.choice(names)]
        if target == "majority":
            return dice.sample(names, len(names) // 2 + 1)
        if target in ("leader", "follower"):
            leader = self.leader()
            return [leader] if target == "leader" else [dice.choice([name for name in names if name != leader])]
        return [target] if target in names else die(f"no node {target}; there are {', '.join(names)}")

    def is_healthy(self, within=60.0):
        until = time.monotonic() + within
        while time.monotonic() < until:
            if self.run("health", check=False):
                return True
            time.sleep(0.2)
        return False


def held_mb(pid):
    """Memory that a process holds, in MiB; 0 if it is gone."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:")), 0)


def report(**facts):
    print(json.dumps(facts))
