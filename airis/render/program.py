"""Runs the Pulumi program without engine or cluster, and records the objects that it registers.

Pulumi's own test seam does it: a mock monitor takes the place of the engine (pulumi/pulumi,
sdk/python/lib/pulumi/runtime/mocks.py). The program runs in a thread of its own, and so with its own event loop and its own
context variables: nothing is left of one run when the next one begins.
"""

import asyncio
import json
import logging
import os
import runpy
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct, Value
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto.resource_pb2 import ReadResourceResponse, RegisterResourceResponse
from pulumi.runtime.settings import SETTINGS, _get_callbacks, get_root_resource
from pulumi.runtime.stack import run_pulumi_func

from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError
from airis.terminal.warnings import Once

TIMEOUT_SECONDS = 60.0
"""A program that waits for an output that never comes would hang for ever."""

GRACE_SECONDS = 5.0
"""How much longer a program may take that does not even listen to the first limit, because it never waits."""

_KUBERNETES = "kubernetes:"

_log = logging.getLogger("airis.render.program")
_log.addHandler(Once(logging.WARNING))
"""What the program logs."""


@dataclass(frozen=True)
class Secret:
    """A value that the program marked as secret. Its repr does not show it."""

    value: Any = field(repr=False)


@dataclass(frozen=True)
class KubernetesObject:
    """An object as the program registers it, before any provider or server has seen it."""

    manifest: Mapping[str, Any]
    """The object as it stands in a manifest; secret values are wrapped in `Secret`."""
    urn: str
    """Where the object stands in the program: its Pulumi URN."""
    protect: bool
    """Whether Pulumi refuses to delete or replace it."""
    retain: bool
    """Whether it stays in the cluster when it leaves the stack, and after `destroy`."""
    ignores: tuple[str, ...] = ()
    """Fields of which Pulumi overlooks changes (`ignore_changes`), as paths such as `spec.accessModes`."""

    @property
    def kind(self) -> str:
        """The kind, as `StatefulSet`."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """The name in the cluster."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        """The namespace; none for objects that stand outside of namespaces."""
        namespace = self.manifest["metadata"].get("namespace")
        return None if namespace is None else str(namespace)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Rendering:
    """What a stack amounts to: its objects and its exports. The order of the objects differs between runs."""

    objects: tuple[KubernetesObject, ...]
    exports: Mapping[str, Any]


def run(stack: StackFile, *, generate_secrets: bool = False) -> Rendering:
    """Runs `__main__.py` with the stack's configuration.

    What the program warns of is told on stderr, once in one run of the command. Values that the program would generate once
    are the same placeholder in every run, unless `generate_secrets`.

    Raises AirisError when the program refuses the stack (with the program's own words), and when it does not end.
    """
    outcome: list[Rendering | BaseException] = []

    def target() -> None:
        try:
            outcome.append(_run(stack, generate_secrets))
        except BaseException as error:
            outcome.append(error)

    with _environment(
        PULUMI_CONFIG=json.dumps(stack.config), PULUMI_CONFIG_SECRET_KEYS=json.dumps([*stack.secret_keys])
    ):
        thread = threading.Thread(target=target, name=f"program-{stack.name}", daemon=True)
        thread.start()
        thread.join(TIMEOUT_SECONDS + GRACE_SECONDS)
    if not outcome:
        raise AirisError(f"{stack.path.name}: the program did not end within {TIMEOUT_SECONDS:.0f} s")
    if isinstance(outcome[0], pulumi.RunError):
        raise AirisError(str(outcome[0])) from None
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _run(stack: StackFile, generate: bool) -> Rendering:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(_Inline())
    recorder = _Recorder(generate=generate)
    pulumi.runtime.set_mocks(
        recorder.mocks, project="airis", stack=stack.name, preview=False, logger=_log, monitor=recorder
    )
    SETTINGS.outputs = set()  # otherwise a run that failed leaves its unfinished outputs to the next one
    program = stack.path.parent / "__main__.py"

    def go() -> None:
        sys.path.insert(0, str(program.parent))
        try:
            runpy.run_path(str(program), run_name="__main__")
        finally:
            sys.path.remove(str(program.parent))

    async def drain() -> Mapping[str, Any]:
        await _get_callbacks()  # several resources with hooks would each start a server for them
        await asyncio.wait_for(run_pulumi_func(go), TIMEOUT_SECONDS)
        root = get_root_resource()
        exports = getattr(root, "outputs", {})
        return {name: _plain(await rpc.serialize_property(value, [], None)) for name, value in exports.items()}

    try:
        return Rendering(exports=loop.run_until_complete(drain()), objects=tuple(recorder.objects))
    except TimeoutError:
        raise AirisError(f"{stack.path.name}: the program did not end within {TIMEOUT_SECONDS:.0f} s") from None
    finally:
        unfinished = asyncio.all_tasks(loop)
        for task in unfinished:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*unfinished, return_exceptions=True))
        _close_loop()


def _close_loop() -> None:
    """Closes this thread's event loop, if it has one."""
    with suppress(RuntimeError):
        asyncio.get_event_loop_policy().get_event_loop().close()
    asyncio.set_event_loop(None)


class _Inline(ThreadPoolExecutor):
    """Calls at once what the SDK hands to the loop's executor: this monitor answers sooner than a thread takes over."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        called: Future[Any] = Future()
        try:
            called.set_result(fn(*args, **kwargs))
        except Exception as error:  # raised again where the SDK waits for it
            called.set_exception(error)
        return called


class _Recorder(mocks.MockMonitor):
    """A monitor that keeps the registrations, and gives every resource its inputs back as its outputs.

    So does the API server with what the program reads. `MockMonitor` itself parses and writes all properties for that, which
    takes as long as everything else, and leaves the resource options out.
    """

    def __init__(self, *, generate: bool) -> None:
        super().__init__(_NoMocks())
        self.objects: list[KubernetesObject] = []
        self._generate = generate

    def RegisterResource(self, request: Any) -> RegisterResourceResponse:
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            return RegisterResourceResponse(urn=urn)
        if request.custom and request.type.startswith(_KUBERNETES):
            self.objects.append(
                KubernetesObject(
                    manifest=_plain(json_format.MessageToDict(request.object)),
                    urn=urn,
                    protect=request.protect,
                    retain=request.retainOnDelete,
                    ignores=tuple(request.ignoreChanges),
                )
            )
        outputs = Struct()
        outputs.CopyFrom(request.object)
        if request.type == "pulumi:index:Stash":
            # A generated value would differ from render to render, and never be the one that the stack keeps
            kept = request.object.fields["input"] if self._generate else Value(string_value="generated at the first up")
            outputs.fields["output"].CopyFrom(kept)
        return RegisterResourceResponse(urn=urn, id=f"{request.name}-id", object=outputs)

    def ReadResource(self, request: Any) -> ReadResourceResponse:
        urn = self.make_urn(request.parent, request.type, request.name)
        return ReadResourceResponse(urn=urn, properties=request.properties)


class _NoMocks(mocks.Mocks):
    """What `MockMonitor` would ask. The recorder answers itself, and the program calls no functions of providers."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        raise NotImplementedError

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise NotImplementedError


def _plain(value: Any) -> Any:
    """Plain Python from what the SDK sends: secrets wrapped, whole numbers as integers (a protobuf Struct has only floats)."""
    if isinstance(value, Mapping):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            return Secret(_plain(value["value"]))
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Sets environment variables while the block runs: the way in which the engine hands a program its configuration."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
