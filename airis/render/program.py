"""Runs the Pulumi program without a cluster or the Pulumi engine, and records the objects that it registers.

It uses Pulumi's test mocks: a mock monitor replaces the engine (pulumi/pulumi, sdk/python/lib/pulumi/runtime/mocks.py). Each
run has its own thread, and so its own event loop and context variables: no state leaks into the next run.
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
from pulumi.runtime._callbacks import _CallbackServicer
from pulumi.runtime.proto.resource_pb2 import ReadResourceResponse, RegisterResourceResponse
from pulumi.runtime.settings import SETTINGS, get_root_resource
from pulumi.runtime.stack import run_pulumi_func

from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError
from airis.terminal.warnings import Once

TIMEOUT_SECONDS = 60.0
"""The time limit of a program: without one, a program that waits for an output that never resolves would hang."""

GRACE_SECONDS = 5.0
"""The extra time after which the thread is abandoned: a program that never awaits does not notice the first limit."""

_KUBERNETES = "kubernetes:"

_log = logging.getLogger("airis.render.program")
_log.addHandler(Once(logging.WARNING))
"""The logger for the program's messages."""


@dataclass(frozen=True)
class Secret:
    """A value that the program marked as secret. Its repr does not show it."""

    value: Any = field(repr=False)


@dataclass(frozen=True)
class KubernetesObject:
    """An object as the program registers it, before a provider or API server has processed it."""

    manifest: Mapping[str, Any]
    """The manifest of the object; secret values are wrapped in `Secret`."""
    urn: str
    """The Pulumi URN of the object."""
    protect: bool
    """Whether Pulumi refuses to delete or replace it."""
    retain: bool
    """Whether it stays in the cluster when it is removed from the stack, and after `destroy`."""
    ignores: tuple[str, ...] = ()
    """Fields whose changes Pulumi ignores (`ignore_changes`), as paths such as `spec.accessModes`."""

    @property
    def kind(self) -> str:
        """The kind, such as `StatefulSet`."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """The name in the cluster."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        """The namespace; None for cluster-scoped objects."""
        namespace = self.manifest["metadata"].get("namespace")
        return None if namespace is None else str(namespace)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Rendering:
    """A rendered stack: its objects and its exports. The order of the objects differs between runs."""

    objects: tuple[KubernetesObject, ...]
    exports: Mapping[str, Any]


def run(stack: StackFile, *, generate_secrets: bool = False) -> Rendering:
    """Runs `__main__.py` with the stack's configuration.

    Prints each of the program's warnings on stderr, once per run of the command. Values that the program would generate once
    are a fixed placeholder, unless `generate_secrets`.

    Raises AirisError with the program's message if it rejects the stack, and if it does not end in time.
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
    SETTINGS.callbacks = _Unserved(recorder)
    SETTINGS.outputs = set()  # otherwise a failed run leaves its pending outputs to the next one
    program = stack.path.parent / "__main__.py"

    def go() -> None:
        sys.path.insert(0, str(program.parent))
        try:
            runpy.run_path(str(program), run_name="__main__")
        finally:
            sys.path.remove(str(program.parent))

    async def drain() -> Mapping[str, Any]:
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
    """An executor that runs the SDK's calls inline: this monitor answers faster than a thread switch."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        called: Future[Any] = Future()
        try:
            called.set_result(fn(*args, **kwargs))
        except Exception as error:  # raised again when the SDK awaits the result
            called.set_exception(error)
        return called


class _Unserved(_CallbackServicer):
    """Takes the program's hooks without a server for the calls of an engine: the SDK would start one for each resource."""

    def __init__(self, monitor: Any) -> None:
        self._monitor = monitor
        self._target = ""
        self._callbacks, self._transforms, self._state_migrations = {}, {}, {}


class _Recorder(mocks.MockMonitor):
    """A monitor that records the registrations, and returns the inputs of every resource as its outputs.

    The API server does the same for the fields that the program reads. `MockMonitor` itself parses and serializes all
    properties, which doubles the time of a render, and it drops the resource options.
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
            # A generated value would differ between renders, and from the value in the stack's state
            kept = request.object.fields["input"] if self._generate else Value(string_value="generated at the first up")
            outputs.fields["output"].CopyFrom(kept)
        return RegisterResourceResponse(urn=urn, id=f"{request.name}-id", object=outputs)

    def ReadResource(self, request: Any) -> ReadResourceResponse:
        urn = self.make_urn(request.parent, request.type, request.name)
        return ReadResourceResponse(urn=urn, properties=request.properties)


class _NoMocks(mocks.Mocks):
    """Mocks that are never called: the recorder answers itself, and the program calls no provider functions."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        raise NotImplementedError

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise NotImplementedError


def _plain(value: Any) -> Any:
    """Converts the SDK's data to plain Python: wraps secrets, and makes whole numbers integers (protobuf has only floats)."""
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
    """Sets environment variables while the block runs, as the engine does to pass a program its configuration."""
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
