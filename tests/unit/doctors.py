"""Observations built from plain objects, for the tests of `airis doctor`."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from airis.cluster.connection import Address
from airis.cluster.kubectl import KubeObject
from airis.doctor.checks import CHECKS, State
from airis.doctor.observation import Observation, Owned, Server
from airis.doctor.observe import CLUSTER_WIDE, OWN
from airis.doctor.registry import Answer
from airis.doctor.requirements import Requirements
from airis.doctor.this_machine import Machine
from airis.render import manifest
from airis.stack_file.stacks import settings_of
from tests.unit.drawing import draw_once, stack_of

Found = list[tuple[State, str]]

MACHINE = Machine(
    python=(3, 12),
    pulumi="3.300.0",
    minimum_pulumi="3.260.0",
    provider="4.0.0",
    provider_there=True,
    kubectl="/usr/bin/kubectl",
    backend=".state",
    passphrase="",
)
GROUPS = {
    "apps": ["v1"],
    "batch": ["v1"],
    "autoscaling": ["v2"],
    "networking.k8s.io": ["v1"],
    "policy": ["v1"],
}


@cache
def _drawn(settings: str) -> Requirements:
    given = json.loads(settings)
    objects = [manifest.manifest(each) for each in manifest.in_order(draw_once(**given).objects)]
    return Requirements("test", settings_of(stack_of(**given)), objects)


def wanted(**settings: object) -> Requirements:
    """The requirements of a stack with these settings."""
    return _drawn(json.dumps(settings))


def body(kind: str, name: str, spec: object = None, *, place: str = "", **more: Any) -> dict[str, Any]:
    """An object; `metadata` is merged in."""
    metadata = {"name": name, **({"namespace": place} if place else {}), **more.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec or {}, **more}


def node(
    name: str, *taints: str, labels: Mapping[str, str] | None = None, ready: bool = True, **has: str
) -> KubeObject:
    """A node, by default with 8 cores and 32 GiB; `gpu` and `amd` are numbers of GPUs."""
    names = {"gpu": "nvidia.com/gpu", "amd": "amd.com/gpu"}
    resources = {names.get(key, key): value for key, value in has.items()}
    offered = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", **resources}
    return body(
        "Node",
        name,
        {"taints": [{"key": each, "effect": "NoSchedule"} for each in taints]},
        metadata={"labels": dict(labels or {})},
        status={"allocatable": offered, "conditions": [{"type": "Ready", "status": str(ready)}]},
    )


def pod(name: str, place: str = "airis", on: str = "", **more: Any) -> dict[str, Any]:
    """A ready pod."""
    containers = more.pop("containers", [{"name": "c"}])
    metadata = {"labels": more.pop("labels", {})}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], **more.pop("status", {})}
    spec = {"containers": containers, **({"nodeName": on} if on else {})}
    return body("Pod", name, spec, place=place, metadata=metadata, status=status)


def observed(
    stack: Requirements | None = None,
    *,
    objects: Mapping[str, Sequence[KubeObject]] | None = None,
    own: Mapping[str, Sequence[KubeObject]] | None = None,
    resolved: Mapping[str, Sequence[str]] | None = None,
    images: Mapping[str, Answer] | None = None,
    **server: Any,
) -> Observation:
    """The observation of a cluster that only contains these objects."""
    empty = dict.fromkeys(CLUSTER_WIDE, ())
    unknown = server.get("unknown", {})
    known = {key: value for key, value in {**empty, **(objects or {})}.items() if key not in unknown}
    inside = {key: value for key, value in {**dict.fromkeys(OWN, ()), **(own or {})}.items() if key not in unknown}
    seen = Server(
        **{"version": "v1.36.1", "client": "v1.36.1", "groups": GROUPS, "objects": known, "own": inside, **server}
    )
    return Observation(
        MACHINE, Address("a cluster"), server=seen, wanted=stack, resolved=resolved or {}, images=images or {}
    )


def outcomes(name: str, seen: Observation) -> Found:
    """State and text of each finding of one check."""
    return [(each.state, each.what) for each in CHECKS[name].findings(seen)]


def on_machine(**other: Any) -> Observation:
    """The observation of a machine with these values."""
    return Observation(replace(MACHINE, **other))


def mine(*names: str) -> list[Owned]:
    """Objects created by Pulumi, given as `Kind/name`."""
    parts = [each.partition("/") for each in names]
    return [Owned(kind, name, frozenset({"pulumi-resource-kubernetes"})) for kind, _, name in parts]


@contextmanager
def serving(answers: Mapping[str, str]) -> Iterator[int]:
    """A server on loopback that serves these paths, and returns 404 for others; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = answers.get(self.path)
            self.send_response(404 if text is None else 200)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *args: object) -> None:
            """Logs nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
