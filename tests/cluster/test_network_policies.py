"""NetworkPolicies, on a node that enforces them: each row of the tables connects to each column."""

import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

from tests.cluster.images.recipes import OLLAMA
from tests.cluster.node.places import API
from tests.cluster.outside import ADDRESS, NETWORK, outsider
from tests.cluster.pods import make, shell
from tests.cluster.stacks import Stack, new_namespace
from tests.cluster.target import Target

# x: allowed. A point: denied. A dash: not tested. `elsewhere` is a pod in a namespace that no setting names, such as a metrics
# scraper; `dns` is a DNS lookup, and `port-53` a server outside of the cluster on the port of name servers.

BY_DEFAULT = """
            webui  ollama  redis  elsewhere  api  outside  port-53  dns
webui         -      x       x        x       x      x        x      x
ollama        x      -       .        x       x      x        x      x
redis         .      .       -        .       .      .        .      .
models-job    x      x       .        x       x      x        x      x
neighbour     x      .       .        x       x      x        x      x
ingress       x      .       .        x       x      x        x      x
elsewhere     .      .       .        -       x      x        x      x
outside       .      .       .        x       -      -        -      -
"""

RESTRICTED = """
            webui  ollama  redis  elsewhere  api  outside  port-53  dns
webui         -      x       x        .       .      .        x      x
ollama        .      -       .        .       .      .        x      x
redis         .      .       -        .       .      .        .      .
models-job    .      x       .        .       .      .        x      x
neighbour     x      .       .        x       x      x        x      x
ingress       x      .       .        x       x      x        x      x
elsewhere     .      .       .        -       x      x        x      x
outside       .      .       .        x       -      -        -      -
"""

WITH_EXCEPTIONS = """
            webui  ollama  redis  elsewhere  api  outside  port-53  dns
webui         -      x       x        .       .      x        x      x
ollama        .      -       .        .       .      x        x      x
redis         .      .       -        .       .      .        .      .
models-job    .      x       .        .       .      x        x      x
neighbour     x      .       .        x       x      x        x      x
ingress       x      .       .        x       x      x        x      x
elsewhere     .      .       .        -       x      x        x      x
outside       x      .       .        x       -      -        -      -
"""

WITHOUT_POLICIES = """
            webui  ollama  redis  elsewhere  api  outside  port-53  dns
webui         -      x       x        x       x      x        x      x
ollama        x      -       x        x       x      x        x      x
redis         x      x       -        x       x      x        x      x
models-job    x      x       x        x       x      x        x      x
neighbour     x      x       x        x       x      x        x      x
ingress       x      x       x        x       x      x        x      x
elsewhere     x      x       x        -       x      x        x      x
outside       x      x       x        x       -      -        -      -
"""

PROBE = """
for each in "$@"; do
  name=${each%=*} address=${each#*=}
  { timeout 3 bash -c "exec 3<>/dev/tcp/${address/://}" && echo "$name"; } 2>/dev/null &
done
host=kubernetes.default.svc.cluster.local look="import socket; socket.gethostbyname('$host')"
{ timeout 3 getent hosts $host || timeout 3 python3 -c "$look"; } >/dev/null 2>&1 && echo dns
wait
"""
"""Prints the names of the reachable addresses: `bash -c PROBE bash NAME=ADDRESS:PORT ...`."""

Row = Callable[..., str]
"""Runs a command as a row; returns its stdout."""


def reached(rows: Mapping[str, Row], targets: Mapping[str, str]) -> dict[str, set[str]]:
    """The reachable columns of each row, tested concurrently."""
    asked = [f"{name}={address}" for name, address in targets.items()]
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda row: row("bash", "-c", PROBE, "bash", *asked), rows.values())
        return {name: set(answer.split()) for name, answer in zip(rows, answers, strict=True)}


def filled(table: str, found: Mapping[str, set[str]]) -> str:
    """The table with the results instead of the expectations."""
    heading, *lines = table.strip("\n").splitlines()
    columns = heading.split()
    drawn = [heading]
    for line in lines:
        cells = iter(["", *columns])

        def cell(given: re.Match[str], cells: Any = cells, row: str = line.split()[0]) -> str:
            name = next(cells)
            return given[0] if name == "" or given[0] == "-" else "x" if name in found[row] else "."

        drawn.append(re.sub(r"\S+", cell, line))
    return "\n".join(["", *drawn, ""])


def assert_comes_true(table: str, rows: Mapping[str, Row], targets: Mapping[str, str], seconds: float = 20) -> None:
    """Waits until all allowed connections work: the node applies policies with a short delay."""
    deadline = time.monotonic() + seconds
    while (found := filled(table, reached(rows, targets))) != table and time.monotonic() < deadline:
        time.sleep(0.5)
    assert found == table


def test_allowed_connections(cluster: Target, stack: Stack) -> None:
    assert cluster.own_node.pid  # needs the node's network with a machine outside
    listening = "exec python3 -m http.server 8080"
    probe: dict[str, Any] = {"image": OLLAMA}
    with ExitStack() as exits:
        outside = exits.enter_context(outsider(8080, 53))
        ingress, elsewhere = (exits.enter_context(new_namespace(cluster)) for _ in range(2))

        def up(**network: object) -> None:
            stack.up(
                webui={"redis": {"bundled": {}}},
                ollama={"absentModels": ["nothing"]},  # creates a model Job, whose pods connect to Ollama
                network={"ingressNamespaces": [ingress], **network},
            )

        up()
        make(cluster, ingress, shell("probe", ingress, **probe))
        make(cluster, elsewhere, shell("probe", elsewhere, listening, **probe))
        make(
            cluster, stack.namespace, *(shell(each, stack.namespace, **probe) for each in ("ollama-pull", "neighbour"))
        )

        def pod(namespace: str, selector: str) -> dict[str, Any]:
            (found,) = cluster.within(namespace).get(
                "pods", f"--selector={selector}", "--field-selector=status.phase=Running"
            )
            return found

        def row(namespace: str, name: str) -> Row:
            return partial(cluster.within(namespace).run, "exec", name, "--")

        webui, ollama, redis = (pod(stack.namespace, f"app={each}") for each in ("airis", "ollama", "airis-redis"))
        rows = {
            **{
                name: row(stack.namespace, each["metadata"]["name"])
                for name, each in {"webui": webui, "ollama": ollama, "redis": redis}.items()
            },
            "models-job": row(stack.namespace, "ollama-pull"),
            "neighbour": row(stack.namespace, "neighbour"),
            "ingress": row(ingress, "probe"),
            "elsewhere": row(elsewhere, "probe"),
            "outside": outside.run,
        }
        targets = {
            "webui": f"{webui['status']['podIP']}:8080",
            "ollama": f"{ollama['status']['podIP']}:11434",
            "redis": f"{redis['status']['podIP']}:6379",
            "elsewhere": f"{pod(elsewhere, 'app=probe')['status']['podIP']}:8080",
            "api": f"{API}:443",
            "outside": f"{ADDRESS}:8080",
            "port-53": f"{ADDRESS}:53",
        }
        assert_comes_true(BY_DEFAULT, rows, targets)
        up(restrictEgress=True)
        assert_comes_true(RESTRICTED, rows, targets)
        up(restrictEgress=True, egressTo=[NETWORK], webuiFrom=[NETWORK])
        assert_comes_true(WITH_EXCEPTIONS, rows, targets)
        up(policies=False)
        assert_comes_true(WITHOUT_POLICIES, rows, targets)
