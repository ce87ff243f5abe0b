"""Starting points of a move on the sandbox: the Kustomize deployment, a Helm release, and marks on their volumes."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from airis.rehearse.sandbox import Sandbox
from tests.unit.drawing import ROOT

REFERENCE = ROOT / "tests" / "fixtures" / "kustomize"
HELM = ROOT / "tests" / "fixtures" / "helm" / "open-webui.yaml"
MARK = "marker"


def apply_reference(sandbox: Sandbox, overlay: str = "base") -> None:
    """`kubectl apply -k`, client-side as people do it, until its pods run; on the GPU nodes one of them never does."""
    sandbox.kubectl.run("apply", f"--kustomize={REFERENCE / overlay}")
    await_pods(sandbox, "airis", 2 if overlay == "base" else 1)


def apply_helm(sandbox: Sandbox) -> None:
    """What Helm makes of the chart, made as Helm makes it: created, under its name; and the Secrets that the values name."""
    kubectl = sandbox.kubectl
    kubectl.run("create", "namespace", "chat")
    kubectl.run("create", "--field-manager=helm", f"--filename={HELM}")
    for name, key in (("webui-session", "key"), ("airis-adopted", "SMTP_PASSWORD")):
        kubectl.run("create", "secret", "generic", name, f"--from-literal={key}=value", "--namespace=chat")
    await_pods(sandbox, "chat", 4)


def await_pods(sandbox: Sandbox, namespace: str, count: int) -> None:
    """Waits until so many pods are ready, and every claim is bound."""
    deadline = time.monotonic() + 60
    while True:
        pods = sandbox.kubectl.get("pods", f"--namespace={namespace}")
        claims = sandbox.kubectl.get("persistentvolumeclaims", f"--namespace={namespace}")
        ready = [each for each in pods if is_ready(each)]
        if len(ready) >= count and len(claims) >= 2 and all(each["status"]["phase"] == "Bound" for each in claims):
            return
        assert time.monotonic() < deadline, [each["metadata"]["name"] for each in pods]
        time.sleep(0.3)


def is_ready(pod: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def marked(sandbox: Sandbox) -> None:
    """Puts the volume's own name onto each volume."""
    for name, folder in _folders(sandbox).items():
        (folder / MARK).write_text(name)


def markers(sandbox: Sandbox) -> dict[str, str]:
    """What is written on the volumes, by their names."""
    return {name: (folder / MARK).read_text() for name, folder in _folders(sandbox).items() if (folder / MARK).exists()}


def _folders(sandbox: Sandbox) -> dict[str, Path]:
    return {
        each["metadata"]["name"]: Path(each["spec"]["hostPath"]["path"])
        for each in sandbox.kubectl.get("persistentvolumes")
        if each["status"]["phase"] == "Bound"  # those of the test before may still be going
    }


def versions(sandbox: Sandbox, namespace: str) -> dict[str, str]:
    """A digest of everything that matters in a namespace: the same twice means that nobody has changed anything.

    What controllers report on their own account is left out; and it is waited until they have done what is theirs to do.
    """
    deadline = time.monotonic() + 60
    seen = _digests(sandbox, namespace)
    while True:
        time.sleep(0.5)
        again = _digests(sandbox, namespace)
        if again == seen:
            return seen
        assert time.monotonic() < deadline, f"{namespace} does not come to rest"
        seen = again


def _digests(sandbox: Sandbox, namespace: str) -> dict[str, str]:
    kinds = "deployments,statefulsets,services,ingresses,persistentvolumeclaims,pods,networkpolicies,serviceaccounts,secrets"
    there = f"--namespace={namespace}"
    objects = [
        *sandbox.kubectl.get(kinds, there, "--show-managed-fields"),
        *sandbox.kubectl.get("namespace", namespace, "--show-managed-fields"),
    ]
    return {f"{each['kind']}/{each['metadata']['name']}": _digest(each) for each in objects}


def _digest(body: dict[str, Any]) -> str:
    metadata = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    metadata["managedFields"] = [each for each in metadata.get("managedFields", []) if "subresource" not in each]
    kept = {**{key: value for key, value in body.items() if key != "status"}, "metadata": metadata}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
