"""A machine outside of the cluster with one address: pods reach it through the node, and it reaches pods in the same way."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.node.namespaces import network_of
from tests.cluster.node.places import OUTSIDE

ADDRESS = "198.51.100.2"
"""In the network for documentation (TEST-NET-2, RFC 5737), like the node's own address there."""
NETWORK = "198.51.100.0/24"

_LINK, _BRIDGE = "outside0", "node0"
_SECONDS = 30
_SERVER = """
import selectors, socket, sys
waiting = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    waiting.register(socket.create_server(("", port)), selectors.EVENT_READ)
while True:
    for key, _ in waiting.select():
        key.fileobj.accept()[0].close()
"""


@dataclass(frozen=True)
class Outsider:
    """The running machine."""

    _pid: int

    def run(self, *command: str, seconds: float = _SECONDS) -> str:
        """Runs a command on it; returns its stdout."""
        with network_of(self._pid):
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds)
        return done.stdout


@contextmanager
def outsider(*ports: int) -> Iterator[Outsider]:
    """Runs the machine during the block; it accepts connections at these ports. Must be called in the node's network."""
    server = subprocess.Popen(["unshare", "--net", "python3", "-c", _SERVER, *map(str, ports)])
    try:
        deadline = time.monotonic() + _SECONDS
        while Path(f"/proc/{server.pid}/ns/net").readlink() == Path("/proc/thread-self/ns/net").readlink():
            assert time.monotonic() < deadline, "it has no network of its own"
            time.sleep(0.02)
        machine = Outsider(server.pid)
        _ip("link", "add", _LINK, "type", "veth", "peer", "name", "eth0", "netns", str(server.pid))
        _ip("link", "set", _LINK, "master", _BRIDGE, "up")
        machine.run("ip", "address", "add", f"{ADDRESS}/24", "dev", "eth0")
        machine.run("ip", "link", "set", "eth0", "up")
        machine.run("ip", "route", "add", "default", "via", OUTSIDE)
        yield machine
    finally:
        server.kill()  # deletes its network namespace, and the link with it
        server.wait(_SECONDS)


def _ip(*command: str) -> None:
    subprocess.run(["ip", *command], capture_output=True, check=True, timeout=_SECONDS)
