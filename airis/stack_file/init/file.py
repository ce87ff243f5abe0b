"""The stack file that `airis init` writes from the answers, with a comment on every key."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from airis.stack_file.init.platforms import Platform
from airis.stack_file.init.questionnaire import Answers, memory_for, ollama_image, platform_of, sizes, webui_image
from airis.stack_file.schema import REFERENCE_LINE
from airis.stack_file.yaml_writer import dump_line
from settings.platform.network import NetworkSettings

_WIDTH = 110

_Line = tuple[str, str, Any]
"""A comment, a key and its value."""


def stack_text(answers: Answers) -> str:
    """The text of the stack file."""
    platform = platform_of(answers)
    lines = [
        REFERENCE_LINE,
        *_comment(
            f"The stack {answers['stack']}, for {platform.title}. It sets only what differs from the defaults; docs/config.md "
            "lists all keys.",
            0,
        ),
        "config:",
    ]
    sections = {
        "airis:ingress": list(_ingress(answers, platform)),
        "airis:network": list(_network(answers, platform)),
        "airis:webui": list(_webui(answers, platform)),
        "airis:ollama": list(_ollama(answers, platform)),
    }
    abouts = {
        "airis:ingress": "The Ingress. For Gateways, existing certificates and load balancers, see docs/exposure.md.",
        "airis:network": "Network policies: who may reach Open WebUI from inside the cluster. See docs/security.md.",
        "airis:webui": "Open WebUI. More keys: image, resources, service, database, redis, objectStorage, connections, env. "
        "For single sign-on, see docs/identity.md. For several replicas, see docs/scaling.md.",
        "airis:ollama": "Ollama. More keys: resources, create, preload, server, replicas. For custom models, see "
        "docs/models.md. For GPUs, see docs/gpu.md.",
    }
    if answers["host"] is None:
        lines += _comment(
            "No Ingress. To reach Open WebUI at http://localhost:8080, run `kubectl -n airis port-forward "
            "service/airis-service 8080`. To add an Ingress: airis:ingress: {host: chat.example.com}. See docs/exposure.md.",
            2,
        )
        lines.append("")
    for key, entries in sections.items():
        if entries:
            lines += [*_comment(abouts[key], 2), f"  {key}:"]
            for about, name, value in entries:
                lines += [*_comment(about, 4), f"    {name}: {dump_line(value)}"]
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _ingress(answers: Answers, platform: Platform) -> Iterator[_Line]:
    if answers["host"] is None:
        return
    yield "The host name of Open WebUI.", "host", answers["host"]
    if answers["ingress-class"] is not None:
        yield "The IngressClass. Default: the cluster's default class.", "className", answers["ingress-class"]
    if answers["controller"] is not None:
        about = "The Ingress controller. It determines the annotations for long responses and large uploads."
        yield about, "controller", answers["controller"]
    if answers["tls-issuer"] is not None:
        about = "cert-manager gets the certificate from this ClusterIssuer. {secretName: ...} uses an existing one."
        yield about, "tls", {"clusterIssuer": answers["tls-issuer"]}


def _network(answers: Answers, platform: Platform) -> Iterator[_Line]:
    if answers["host"] is None or answers["controller"] != platform.controller or platform.ingress_namespace is None:
        return
    defaults = NetworkSettings().ingress_namespaces
    about = f"The Ingress controller of {platform.title} runs in {platform.ingress_namespace}."
    yield about, "ingressNamespaces", [platform.ingress_namespace, *defaults]


def _webui(answers: Answers, platform: Platform) -> Iterator[_Line]:
    if answers["webui-image"] != webui_image():
        yield "The image of Open WebUI.", "image", answers["webui-image"]
    about = f"The volume for chats, users and uploads. It can grow later, but never shrink. {platform.storage}"
    yield about, "storage", _storage(answers["webui-storage"], answers)
    auth: dict[str, Any] = {"signUp": answers["sign-up"]}
    about = "New users are `pending` until an administrator approves them. With signUp: false, administrators create accounts."
    if answers["admin-email"] is not None:
        name, key = answers["admin-secret"]
        auth["firstAdmin"] = {"email": answers["admin-email"], "passwordFrom": {"name": name, "key": key}}
        about += " The first administrator is created at the first start, with the password from that Secret."
    else:
        about += " The first account becomes the administrator: it can always be created, and then disables sign-up."
    yield about, "auth", auth


def _ollama(answers: Answers, platform: Platform) -> Iterator[_Line]:
    if answers["ollama-image"] != ollama_image(answers):
        yield "The image of Ollama.", "image", answers["ollama-image"]
    if answers["model"]:
        about = (
            f"Models that the first `up` pulls ({sizes(answers['model'])}). For more, see https://ollama.com/library."
        )
        yield about, "models", list(answers["model"])
    yield "The volume for models.", "storage", _storage(answers["ollama-storage"], answers)
    if not answers["gpu"]:
        if memory := memory_for(answers["model"]):
            yield (
                "Memory of each pod, for these models and their context.",
                "resources",
                {"limits": {"memory": memory}},
            )
        return
    vendor = answers["vendor"]
    optional = {
        "vendor": None if vendor == "nvidia" else vendor,
        "preset": platform.preset_for(vendor),
        "accelerator": answers["accelerator"],
        "runtimeClass": platform.runtime_class if vendor == "nvidia" else None,
    }
    gpu = {"count": answers["gpu"], **{key: value for key, value in optional.items() if value is not None}}
    yield "GPUs of each pod, and the labels and taints of the GPU nodes.", "gpu", gpu


def _storage(size: str, answers: Answers) -> dict[str, str]:
    named = answers["storage-class"]
    return {"size": size, **({} if named is None else {"storageClass": named})}


def _comment(text: str, indent: int) -> list[str]:
    return [f"{' ' * indent}# {line}" for line in wrap(text, _WIDTH - indent, break_on_hyphens=False)]
