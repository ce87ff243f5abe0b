"""Open WebUI and Ollama on Kubernetes: settings -> components -> exports."""

from collections.abc import Sequence
from pathlib import Path

import pulumi
from pulumi.runtime.config import get_config_env, get_config_secret_keys_env
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components import Ollama, WebUI
from components.metadata import namespace_labels
from components.transform import load_hook
from settings import SettingsError, load

try:
    settings = load(
        get_config_env(),
        source=f"Pulumi.{pulumi.get_stack()}.yaml",
        secret_keys=frozenset(get_config_secret_keys_env()),
    )
except SettingsError as error:
    raise pulumi.RunError(str(error)) from None

for warning in settings.warnings():
    pulumi.log.warn(warning)

hook = load_hook(Path(__file__).parent, settings.transform.file)

# The claims live in the namespace: deleting it would delete them
namespace = Namespace(
    "namespace",
    metadata=ObjectMetaArgs(
        name=settings.namespace,
        labels={**settings.labels, **namespace_labels(settings.pod_security)},
        annotations=dict(settings.annotations) or None,
    ),
    opts=pulumi.ResourceOptions(protect=True, retain_on_delete=True, transformations=hook.transformations),
)
ollama_urls: Sequence[pulumi.Output[str]] = ()
if settings.ollama.enabled:
    ollama_urls = Ollama(
        "ollama",
        settings.ollama,
        namespace=namespace.metadata.name,
        callers=[{"app": "airis"}],
        platform=settings,
        opts=pulumi.ResourceOptions(transformations=hook.transformations),
    ).urls
webui = WebUI(
    "airis",
    settings.webui,
    namespace=namespace.metadata.name,
    ollama_urls=ollama_urls,
    ollama_pods={"app": "ollama"} if settings.ollama.enabled else None,
    secrets=settings.secrets,
    ingress=settings.ingress,
    gateway=settings.gateway,
    platform=settings,
    opts=pulumi.ResourceOptions(transformations=hook.transformations),
)
hook.add_objects(namespace.metadata.name)

gpu = settings.ollama.gpu if settings.ollama.enabled else None
pulumi.export("url", webui.url)
pulumi.export("namespace", namespace.metadata.name)
pulumi.export("portForward", webui.port_forward)
pulumi.export("ollamaUrls", ollama_urls)
pulumi.export("gpu", {gpu.asked_for: gpu.count * settings.ollama.replicas} if gpu else {})
