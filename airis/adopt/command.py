"""The command: discovers the deployment, writes the stack file, shows the changes, and asks before it prepares the cluster."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from airis.adopt.changes import Change, changes
from airis.adopt.cluster import cluster_of, label, problem
from airis.adopt.discovery import Found, look
from airis.adopt.draft import Draft
from airis.adopt.environment import SECRET
from airis.adopt.preparation import Preparation, check, preparation, prepare
from airis.adopt.stack_file import as_yaml, drafted
from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.render.objects import manifests
from airis.stack_file.stacks import UPSERT_KEY, StackFile, project_root, read_stack
from airis.terminal.errors import AirisError

_NAMESPACE = "airis"
_TAKEOVER = "airis:takeover"

Ask = Callable[[str], bool]
"""Asks a yes-or-no question; returns whether the answer was yes."""


def adopt(
    name: str,
    *,
    namespace: str | None = None,
    kubeconfig: Path | None = None,
    context: str | None = None,
    force: bool = False,
    ask: Ask = lambda question: False,
) -> Path:
    """Adopts the deployment in a namespace as the stack `name`. Returns the path of the stack file.

    An existing stack file is never overwritten. A file of an earlier run is used as it is; any other one is an error, or with
    `force`, the new file is `Pulumi.<name>-adopted.yaml`. The cluster is changed only after `ask` returns True, and only in the
    owners of fields, the replicas of the old workloads, and an annotation on Helm's claims.

    Raises AirisError if there is nothing to adopt, or adopting it is not safe; EnvironmentProblem if the cluster is unreachable
    or denies permission; KubectlError if it fails halfway.
    """
    stack = _stack(name, project_root(), force=force)
    earlier = _TAKEOVER in stack.config
    given = {
        "kubernetes:context": context,
        "kubernetes:kubeconfig": str(kubeconfig.expanduser().resolve()) if kubeconfig else None,
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    if not earlier:
        stack = replace(stack, config=chosen)
    where = namespace or stack.config.get("airis:namespace", _NAMESPACE)
    if earlier and where != stack.config.get("airis:namespace", _NAMESPACE):
        raise AirisError(f"{stack.path.name} has airis:namespace {stack.config['airis:namespace']}, not {where}")
    with cluster_of(stack, where, kubeconfig, context) as cluster:
        try:
            found = look(cluster)
            draft = drafted(found)
            draft.config.update(chosen)
            if not earlier:
                stack = replace(stack, config=_as_engine_has_it(draft.config))
            wanted = manifests(stack)
            becomes = changes(cluster, wanted, found)
        except KubectlError as error:
            raise problem(error) from None
        _tell_found(found)
        _tell_changes(becomes, found)
        if not earlier:
            stack.path.write_text(as_yaml(draft, found, stack.name), encoding="utf-8")
            print(f"\nWritten: {stack.path.name}")
        else:
            print(f"\n{stack.path.name} is from an earlier run, and was not changed.")
        _tell_notes(draft, found)
        _prepare(cluster, preparation(found, becomes), wanted, ask, stack)
        _tell_next(stack, found)
    return stack.path


def _stack(name: str, root: Path, *, force: bool) -> StackFile:
    """The stack to write: a new one, or the one from an earlier run."""
    for each in (name, f"{name}-adopted") if force else (name,):
        path = root / f"Pulumi.{each}.yaml"
        if not path.exists():
            return StackFile(each, path, {}, frozenset())
        stack = read_stack(each, root)
        takeover = stack.config.get(_TAKEOVER)
        if takeover and json.loads(takeover).get("enabled"):
            return stack
    raise AirisError(
        f"{path.name} exists, and is never overwritten",
        "choose another name"
        if force
        else f"choose another name, or use --force to write Pulumi.{name}-adopted.yaml instead",
    )


def _as_engine_has_it(config: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}


def _tell_found(found: Found) -> None:
    print(f"Namespace {found.namespace['metadata']['name']}, deployed by {found.origin}:")
    for each in found.workloads:
        claims = ", ".join(
            f"{claim['metadata']['name']} ({claim['spec']['resources']['requests']['storage']}, "
            f"{claim['spec'].get('storageClassName') or 'no class'})"
            for claim in each.claims
        )
        pods = "1 pod" if each.replicas == 1 else f"{each.replicas} pods"
        print(
            f"  {label(each.body)}: {each.container['image']}, {pods}, data on {claims or 'no claim (lost with the pod)'}"
        )
    for way in (found.service, found.ollama_service, found.ingress):
        if way is not None:
            print(f"  {label(way)}")
    if found.others:
        print(f"  not adopted: {', '.join(label(each) for each in found.others)}")


def _tell_changes(becomes: Sequence[Change], found: Found) -> None:
    print("\nChanges of the first `airis up`:")
    new = [label(each.wanted) for each in becomes if each.live is None]
    for each in becomes:
        if each.live is None:
            continue
        verb = "takes over" if each.in_place else "replaces"
        pods = "; its pods are replaced" if each.restarts else ""
        print(f"  {label(each.wanted)} {verb} {label(each.live)}{pods}{':' if each.lines else ': no changes'}")
        for line in each.lines:
            print(f"    {line}")
    print(f"  new: {', '.join(new)}")


def _tell_notes(draft: Draft, found: Found) -> None:
    if draft.notes.dropped:
        print("\nNot adopted; configure what you need manually:")
        for each in draft.notes.dropped:
            print(f"  {each}")
    if not draft.notes.credentials:
        return
    print(
        f"\nThe pods have credentials in plain text, which were not written. First put them into the Secret {SECRET}:"
    )
    name = found.namespace["metadata"]["name"]
    literals = []
    for variable in draft.notes.credentials:
        literals.append(f'--from-literal={variable}="$(kubectl -n {name} get {_place_of(variable, found)})"')
    print(f"  kubectl -n {name} create secret generic {SECRET} \\\n    " + " \\\n    ".join(literals))


def _place_of(variable: str, found: Found) -> str:
    """The arguments of `kubectl get` that print a variable's value."""
    for each in found.workloads:
        if any(entry["name"] == variable for entry in each.container.get("env") or []):
            path = f'.spec.template.spec.containers[?(@.name=="{each.container["name"]}")].env[?(@.name=="{variable}")].value'
            return f"{each.body['kind'].lower()} {each.body['metadata']['name']} -o jsonpath='{{{path}}}'"
    return ""


def _prepare(cluster: Cluster, plan: Preparation, wanted: Sequence[KubeObject], ask: Ask, stack: StackFile) -> None:
    if plan.is_empty:
        print("\nThe cluster is prepared for the first `airis up`.")
        try:
            check(cluster, wanted)
        except KubectlError as error:
            raise problem(error) from None
        return
    print("\nRequired in the cluster before the first `airis up`:")
    for each in plan.reasons:
        print(f"  {each}")
    if not ask("Do this now?"):
        print(
            f"Nothing was changed in the cluster. Run `airis adopt --stack {stack.name}` to continue, before `airis up`."
        )
        return
    prepare(cluster, plan, wanted)
    print("Done: the cluster is prepared for the first `airis up`.")


def _tell_next(stack: StackFile, found: Found) -> None:
    name = found.namespace["metadata"]["name"]
    print(
        f"\nNext: run `airis up --stack {stack.name}`; then remove airis:takeover and {UPSERT_KEY} from the stack file."
    )
    if found.release is not None:
        print(
            f"The Helm release {found.release} and its record (Secret sh.helm.release.v1.{found.release}.*) still exist. "
            "Do not run `helm upgrade` or `helm rollback`: they would start the old pods again. "
            f"`helm uninstall {found.release}` DELETES THE CLAIMS, "
            "unless the release's manifests have `helm.sh/resource-policy: keep`; annotating the live claims is not enough. "
            "See docs/moving.md."
        )
    if (
        found.ingress is not None
        and found.beside
        and not any(each.in_place for each in found.workloads if each is found.webui)
    ):
        ingress = found.ingress["metadata"]["name"]
        print(
            f"Ingress/{ingress} routes the same hosts to the old Service; some controllers reject a second Ingress for them. "
            f"Before `airis up`, run `kubectl -n {name} delete ingress {ingress}`"
        )
