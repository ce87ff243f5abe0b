"""The stack file of an adopted deployment: assembles its settings, and writes it."""

import json

from airis.adopt.cluster import label
from airis.adopt.container_variables import cluster_domain, read_environment
from airis.adopt.discovery import Found, Workload
from airis.adopt.draft import Draft, settle
from airis.adopt.environment import Config, Notes
from airis.adopt.exposure_settings import account_annotations, ingress_settings, service_settings
from airis.adopt.workload_settings import PULLED, ollama_settings, workload_settings
from airis.stack_file.schema import REFERENCE_LINE
from airis.stack_file.stacks import UPSERT_KEY
from airis.stack_file.yaml_writer import dump
from components.start import FOLDER, PREPARE, VOLUME

_COVERED_STARTS = ("copy-app-data", PREPARE)
"""Init containers of the Helm chart and of the stack, which the stack's own init container replaces."""


def drafted(found: Found) -> Draft:
    """The stack file for the discovered deployment. Its notes list what settings do not cover.

    Raises AirisError for anything that would lose data: several pods where only one is supported, or a read-only volume.
    """
    draft = Draft({"airis:namespace": found.namespace["metadata"]["name"]})
    config, notes = draft.config, draft.notes
    if any(each.runs_as_root for each in found.workloads):
        config["airis:podSecurity"] = "baseline"
    secrets = [each["name"] for workload in found.workloads for each in workload.pod.get("imagePullSecrets") or []]
    if secrets:
        config["airis:imagePullSecrets"] = list(dict.fromkeys(secrets))
    if domain := cluster_domain(found):
        config["airis:clusterDomain"] = domain
    config["airis:ollama"] = ollama_settings(found, notes) if found.ollama else {"enabled": False}
    config["airis:webui"] = {
        **workload_settings(found.webui, found, notes, "airis-pvc"),
        **service_settings(found, notes),
    }
    if found.ingress is not None:
        config.update({"airis:ingress": ingress} if (ingress := ingress_settings(found.ingress, notes)) else {})
    if "spec" in found.webui.body and found.webui.pod.get("serviceAccountName"):
        annotations = account_annotations(found)
        config["airis:webui"].update({"serviceAccountAnnotations": annotations} if annotations else {})
    config["airis:takeover"] = _takeover(found)
    config[UPSERT_KEY] = "true"
    settle(draft)
    read_environment(draft, found)
    for each in found.workloads:
        _tell_what_no_setting_covers(each, notes)
    return draft


def as_yaml(draft: Draft, found: Found, stack: str) -> str:
    """The text of the stack file."""
    head = [
        REFERENCE_LINE,
        f"# Written by `airis adopt` from the deployment in namespace {found.namespace['metadata']['name']}: docs/moving.md.",
        f"# airis:takeover and {UPSERT_KEY} are for the first `airis up`; remove both after it.",
    ]
    if draft.notes.credentials:
        head.append(f"# First create the Secret airis-adopted: `airis adopt --stack {stack}` prints the command.")
    body = dump({"config": draft.config}, width=100)
    return "\n".join(head) + "\n" + body


def _takeover(found: Found) -> Config:
    stopped = [{"kind": each.body["kind"], "name": each.body["metadata"]["name"]} for each in found.beside]
    return {"enabled": True, **({"stopped": stopped} if stopped else {})}


def _tell_what_no_setting_covers(workload: Workload, notes: Notes) -> None:
    """Notes the parts of a pod that the stack does not adopt. The comparison shows fields that differ."""
    where, pod = label(workload.body), workload.pod
    beside = [each["name"] for each in pod["containers"] if each["name"] != workload.container["name"]]
    if beside:
        notes.dropped.append(
            f"{where}: the container {', '.join(beside)} (airis:transform can add one: docs/transform.md)"
        )
    if first := [each["name"] for each in pod.get("initContainers") or [] if each["name"] not in _COVERED_STARTS]:
        notes.dropped.append(f"{where}: the init container {', '.join(first)}")
    for key in ("command", "args", "lifecycle"):
        if workload.container.get(key) and not (
            (key == "lifecycle" and PULLED.search(json.dumps(workload.container[key])))
            or (key == "command" and FOLDER in json.dumps(workload.container[key]))
        ):
            notes.dropped.append(f"{where}: {key} of the container {workload.container['name']}")
    known = {claim["metadata"]["name"] for claim in workload.claims}
    for each in pod.get("volumes") or []:
        if each["name"] != VOLUME and (
            each.get("persistentVolumeClaim", {}).get("claimName") not in known and "emptyDir" not in each
        ):
            notes.dropped.append(f"{where}: the volume {each['name']}")
