"""The first steps with a new stack, printed after its first `up`: open it, sign in, choose a model."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from airis.cluster.connection import Cluster
from airis.cluster.host_names import resolved
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.stack_file.init.questionnaire import SMALL_MODEL
from airis.stack_file.stacks import StackFile
from settings.exposure.public_url import origins
from settings.ollama.model_sizes import same_model, size_of
from settings.ollama.ollama import OllamaSettings
from settings.sign_in.auth import AuthSettings
from settings.stack import StackSettings


@dataclass(frozen=True)
class Before:
    """What existed of Open WebUI before an `up`."""

    deployed: bool
    has_data: bool
    """Whether there may be accounts: its volume existed, or its database is outside of the stack."""


def before(cluster: Cluster | None, wanted: Sequence[KubeObject], settings: StackSettings) -> Before | None:
    """Observes what exists now; None if the cluster cannot be reached. `wanted` are the objects of the stack."""
    if cluster is None:
        return None
    deployment = webui_of(wanted)
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    claims = [each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each]
    names = [f"deployment/{deployment['metadata']['name']}", *(f"persistentvolumeclaim/{each}" for each in claims)]
    with suppress(KubectlError):
        kinds = {each["kind"] for each in cluster.get(*names)}
        outside = settings.webui.database is not None
        return Before("Deployment" in kinds, outside or "PersistentVolumeClaim" in kinds)
    return None


def webui_of(wanted: Sequence[KubeObject]) -> KubeObject:
    """Open WebUI's Deployment among the objects of a stack."""
    return next(
        each
        for each in wanted
        if each["kind"] == "Deployment" and each["metadata"]["labels"].get("app.kubernetes.io/name") == "open-webui"
    )


def first_steps(stack: StackFile, settings: StackSettings, was: Before) -> str:
    """The text to print after the first `up`."""
    lines = [
        ("Open", [*_where(stack, settings)]),
        ("Sign in", [_account(settings.webui.auth, has_data=was.has_data)]),
        ("Model", [*_models(stack, settings)]),
    ]
    steps = [f"  {title if first else '':8} {text}" for title, texts in lines for first, text in _numbered(texts)]
    return "\n".join([f"\nStack {stack.name} is up. Next steps:", *steps])


def _numbered(texts: Sequence[str]) -> Iterator[tuple[bool, str]]:
    for index, text in enumerate(texts):
        yield index == 0, text


def _where(stack: StackFile, settings: StackSettings) -> Iterator[str]:
    forward = f"{program()} open --stack {stack.name}"
    if public := origins(settings.webui.url, settings.ingress, settings.gateway):
        yield public[0]
        host = urlsplit(public[0]).hostname or ""
        if resolved([host]).get(host) == ():
            yield f"{host} does not resolve on this machine yet; `{forward}` works without DNS."
        return
    service, namespace = settings.webui.service, settings.namespace
    yield f"`{forward}` opens it in your browser."
    if service.type == "LoadBalancer":
        yield f"`kubectl --namespace={namespace} get services` shows the address of its load balancer."
    elif service.type == "NodePort":
        port = (
            "a port of every node, which" if service.node_port is None else f"port {service.node_port} of every node:"
        )
        yield f"It also listens on {port} `kubectl --namespace={namespace} get services` shows."


def _account(auth: AuthSettings, *, has_data: bool) -> str:
    if auth.enabled is False:
        return "Authentication is disabled: everyone who can reach it is an administrator."
    if has_data:
        return "Existing accounts in the database are kept. If there are none, the first account becomes the administrator."
    if auth.first_admin is not None:
        password = auth.first_admin.password_from
        where = f"key {password.key} of Secret {password.name}"
        return f"The administrator is {auth.first_admin.email}; the password is in {where}."
    if auth.oauth is None and auth.ldap is None and auth.trusted_header is None:
        return "Create an account: the first account is the administrator."
    return "The first user who signs in is the administrator."


def _models(stack: StackFile, settings: StackSettings) -> Iterator[str]:
    connections = settings.webui.connections
    names = _chat_models(settings.ollama, connections.embeddings.model if connections.embeddings else None)
    if names:
        yield f"Chat with {' or '.join(names)}."
    if connections.ollama_urls or connections.openai or connections.pipelines:
        yield f"{'Also the models' if names else 'The models'} of the servers in airis:webui.connections."
    elif not names and settings.ollama.enabled:
        size = size_of(SMALL_MODEL)
        download = f", {size.printed} to download" if size else ""
        yield f"No model yet. To pull one, set `models: [{SMALL_MODEL}]` under airis:ollama in {stack.path.name}{download}."
        yield "Or pull one in the browser: Admin Panel, Settings, Models."
    elif not names:
        yield "No model yet: connect a server in the browser (Admin Panel, Settings, Connections)."


def _chat_models(ollama: OllamaSettings, embeddings: str | None) -> list[str]:
    if not ollama.enabled:
        return []
    created = [each.name for each in ollama.create]
    return [each for each in (*ollama.models, *created) if embeddings is None or not same_model(each, embeddings)]


def program() -> str:
    """The command that runs this program: `airis` if it is on PATH, else the path it was started with."""
    return "airis" if shutil.which("airis") else sys.argv[0]
