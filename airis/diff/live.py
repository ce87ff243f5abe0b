"""Compares a stack with its cluster: live objects with the API server's dry run of the rendered ones.

The dry run is a server-side apply with the field manager that last applied the object: defaults and fields of controllers show
no difference, but fields that the stack no longer sets do.
"""

import copy
import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from airis.cluster.connection import Cluster, connected
from airis.cluster.kubectl import KubectlError, listed
from airis.deploy import guard
from airis.diff.against import rendered, without_secrets
from airis.diff.changes import whole
from airis.diff.fields import Hidden, by_names
from airis.diff.ignored_fields import kept
from airis.diff.model import Diff, Problem
from airis.diff.stack_objects import Body, Item, Side
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError, EnvironmentProblem
from airis.terminal.progress import step

_MANAGER = "airis-diff"
_LOOKED_THROUGH = (
    "ConfigMap",
    "CronJob.batch",
    "Deployment.apps",
    "HorizontalPodAutoscaler.autoscaling",
    "Ingress.networking.k8s.io",
    "Job.batch",
    "NetworkPolicy.networking.k8s.io",
    "PersistentVolumeClaim",
    "PodDisruptionBudget.policy",
    "Service",
    "ServiceAccount",
    "StatefulSet.apps",
)
"""Kinds that every cluster serves, searched for leftover objects."""

_SERVERS_OWN = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_CHECKSUM = "-checksum"
_UNKNOWN_KIND = "doesn't have a resource type"
_NOT_PERMITTED = re.compile(r"forbidden: User|Unauthorized|must be logged in")
_TRIES = 3
_KEYS_OF_SECRETS = r'{{range .items}}{{.metadata.name}}{{range $key, $value := .data}} {{$key}}{{end}}{{"\n"}}{{end}}'
"""Prints the names of Secrets and their keys, but no values."""


def diff_cluster(stack: StackFile) -> Diff:
    """What `up` would change in the stack's cluster. Changes nothing, and reads no values of Secrets.

    Raises AirisError if the stack is pinned to another cluster than the configured one, and EnvironmentProblem if none is
    configured, it does not answer, or permissions are missing.
    """
    after = rendered(stack)
    target = guard.target_of(stack)
    with connected(stack, target.namespace, None) as cluster:
        try:
            before, wanted, problems = _sides(cluster, after)
        except KubectlError as error:
            raise _problem(error) from None
    diff = whole(stack.name, replace(before, label=f"the cluster: {target}"), wanted)
    return replace(diff, problems=(*diff.problems, *problems))


def _problem(error: KubectlError) -> AirisError:
    if _NOT_PERMITTED.search(error.message):
        remedy = (
            "nothing was changed; airis diff needs the verbs get, list and (for dry runs) patch for the stack's objects"
        )
        return EnvironmentProblem(f"missing permission in the cluster: {error.message}", remedy)
    return EnvironmentProblem(f"unexpected answer from the cluster: {error.message}", "nothing was changed")


def _sides(cluster: Cluster, after: Side) -> tuple[Side, Side, list[Problem]]:
    """The live side, the dry-run side, and what the server rejects."""
    problems: list[Problem] = []
    live = _live(cluster, after.items, problems)
    wanted, before = [], []
    with step("Dry-running the stack in the cluster", total=len(after.items)) as advance:
        answers = _at_once(cluster, [(each, live[each.identity]) for each in after.items if each.identity in live])
        for done, item in enumerate(after.items):
            advance(done, str(item))
            there = live.pop(item.identity, None)
            if there is None:
                wanted.append(item)
                continue
            one, other, refusal = _tried(cluster, item, there, answers.get(item.identity))
            before.append(one)
            wanted.append(other)
            if refusal:
                problems.append(Problem("reasons", refusal))
    used = {name for each in before for name in _claims_of(each)}
    extra = [_left_over(body, used) for body in live.values() if _belongs(body, after.items)]
    return Side("", (*before, *extra)), replace(after, items=tuple(wanted)), problems


def _live(cluster: Cluster, items: Sequence[Item], problems: list[Problem]) -> dict[tuple[str, str, str, str], Body]:
    """Live objects of the kinds that the stack has, and of kinds that it may have had.

    Secrets that may not be read are assumed to be unchanged; `problems` then contains a note.
    """
    kinds = dict.fromkeys(
        (*_LOOKED_THROUGH, *(_resource(each) for each in items if each.kind not in ("Namespace", "Secret")))
    )
    found: list[Mapping[str, Any]] = []
    try:
        found += cluster.get(",".join(kinds), "--show-managed-fields")
    except KubectlError as error:
        if _UNKNOWN_KIND not in error.message:
            raise
        found += cluster.get(
            ",".join(_LOOKED_THROUGH), "--show-managed-fields"
        )  # the cluster does not serve the others
    for each in items:
        if each.kind == "Namespace":
            found += cluster.get("namespace", each.name, "--show-managed-fields")
    if any(each.kind == "Secret" for each in items):
        found += _secrets(cluster, items, problems)
    return {Item(each).identity: each for each in found}


def _secrets(cluster: Cluster, items: Sequence[Item], problems: list[Problem]) -> list[Mapping[str, Any]]:
    """The Secrets of the namespace, with their keys."""
    try:
        keys = cluster.run("get", "secrets", f"--output=go-template={_KEYS_OF_SECRETS}")
    except KubectlError as error:
        if not _NOT_PERMITTED.search(error.message):
            raise
        problems.append(Problem("reasons", f"Secrets are not compared: {error.message}"))
        names = ("name", "namespace")
        return [
            {**each.body, "metadata": {key: each.body["metadata"].get(key) for key in names}}
            for each in items
            if each.kind == "Secret"
        ]
    found: list[Mapping[str, Any]] = []
    for name, *held in (line.split(" ") for line in keys.splitlines() if line):
        data = {"data": dict.fromkeys(held, Hidden(""))} if held else {}
        metadata = {"name": name, "namespace": cluster.namespace}
        found.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **data})
    return found


def _resource(item: Item) -> str:
    return f"{item.kind}.{item.group}".rstrip(".")


def _belongs(body: Body, items: Sequence[Item]) -> bool:
    """Whether an object has the stack's labels, and no owner."""
    labels = body["metadata"].get("labels") or {}
    apps = {(each.body["metadata"].get("labels") or {}).get("app") for each in items} - {None}
    return (
        not body["metadata"].get("ownerReferences")
        and labels.get("app.kubernetes.io/part-of") == "airis"
        and labels.get("app") in apps
    )


def _claims_of(item: Item) -> Iterator[str]:
    """The claims that a workload's pods mount."""
    for volume in item.pod.get("volumes") or []:
        if volume.get("persistentVolumeClaim"):
            yield str(volume["persistentVolumeClaim"]["claimName"])
    spec = item.body.get("spec") or {}
    for template in spec.get("volumeClaimTemplates") or []:
        for ordinal in range(spec.get("replicas", 1)):
            yield f"{template['metadata']['name']}-{item.name}-{ordinal}"


def _left_over(body: Body, used: Container[str]) -> Item:
    """Pulumi deletes leftover objects that it created, except retained ones; other objects stay."""
    by_pulumi = any(str(each.get("manager", "")).startswith("pulumi-") for each in _managers(body))
    retained = body["kind"] in ("PersistentVolumeClaim", "Namespace") or not by_pulumi
    stray = body["kind"] == "PersistentVolumeClaim" and body["metadata"]["name"] not in used
    return Item(_comparable(body), retain=retained, stray=stray)


def _tried(cluster: Cluster, item: Item, live: Body, answer: Body | None) -> tuple[Item, Item, str]:
    """The live object and the dry-run one; if the server rejects the dry run, only the fields that the stack sets."""
    if item.kind == "Secret":
        names = {"name": item.name, "namespace": item.namespace}
        return (
            replace(item, body=live),
            replace(item, body={**live, "metadata": names, "data": item.body.get("data", {})}),
            "",
        )
    try:
        answer = answer or _applied(cluster, item, live)
        for _ in range(_TRIES):
            if answer["metadata"].get("resourceVersion") == live["metadata"].get("resourceVersion"):
                break
            # A controller changed it in the meantime, which is no difference
            live = next(iter(cluster.get(_resource(item), item.name, "--show-managed-fields")), live)
            answer = _applied(cluster, item, live)
    except KubectlError as error:
        said = replace(item, body=_said(live, item.body))
        if _NOT_PERMITTED.search(error.message):
            why = "only the fields that the stack sets are compared, because a dry run is not permitted"
        else:
            why = "the API server rejects the new version"
        return said, item, f"{item}: {why}: {error.message}"
    return replace(item, body=_comparable(live)), replace(item, body=_comparable(answer)), ""


def _at_once(
    cluster: Cluster, pairs: Sequence[tuple[Item, Body]]
) -> dict[tuple[str, str, str, str], Mapping[str, Any]]:
    """The dry runs of the objects, with one command per field manager.

    If the server rejects one of a command's objects, the result has none of them: each is then dry-run separately.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for item, live in pairs:
        if item.kind != "Secret":
            groups.setdefault(_manager(live), []).append(kept(item.body, live, item.ignores))
    found: list[dict[str, Any]] = []
    for manager, bodies in groups.items():
        with suppress(KubectlError):
            found += _dry_run(cluster, manager, {"apiVersion": "v1", "kind": "List", "items": bodies})
    return {Item(each).identity: each for each in found}


def _applied(cluster: Cluster, item: Item, live: Body) -> Body:
    """The dry run of one object."""
    return _dry_run(cluster, _manager(live), kept(item.body, live, item.ignores))[0]


def _dry_run(cluster: Cluster, manager: str, body: Body) -> list[dict[str, Any]]:
    options = ("--server-side", "--dry-run=server", "--force-conflicts", "--output=json", "--filename=-")
    return listed(cluster.run("apply", f"--field-manager={manager}", *options, stdin=json.dumps(body)))


def _managers(body: Body) -> Iterator[Mapping[str, Any]]:
    yield from body["metadata"].get("managedFields") or []


def _manager(live: Body) -> str:
    """The field manager that last applied the object: only it can remove fields."""
    applied = [
        str(each["manager"])
        for each in _managers(live)
        if each.get("operation") == "Apply" and not each.get("subresource")
    ]
    return next((each for each in applied if each.startswith("pulumi-")), applied[0] if applied else _MANAGER)


def _comparable(body: Body) -> Body:
    """The object without the server's fields, and without checksums of credentials that only Pulumi knows."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in _SERVERS_OWN}
    found = {key: copy.deepcopy(value) for key, value in body.items() if key not in ("status", "metadata")}
    template = (found.get("spec") or {}).get("template") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    for key in [each for each in annotations if each.endswith(_CHECKSUM)]:
        del annotations[key]
    return without_secrets({**found, "metadata": metadata})


def _said(live: Any, wanted: Any) -> Any:
    """The fields of the live object that the wanted one sets."""
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return {key: _said(live[key], value) for key, value in wanted.items() if key in live}
    if isinstance(live, list) and isinstance(wanted, list) and (named := by_names(live, wanted)):
        return [_said(body, named[1].get(name, body)) for name, body in named[0].items()]
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        return [_said(one, other) for one, other in zip(live, wanted, strict=True)]
    return live
