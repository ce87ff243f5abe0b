"""Open WebUI and Ollama on Kubernetes: settings -> components -> exports."""

import gc
import signal
import threading

# Once a resource has failed, the engine interrupts the program: a KeyboardInterrupt traceback would only be noise
if threading.current_thread() is threading.main_thread():  # `airis` runs the program in other threads
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# The typed Kubernetes modules are a million objects that live as long as the program. Collecting garbage after every 700
# allocations, the default, costs a fifth of the time of a preview
gc.set_threshold(200_000, 20, 20)

from collections.abc import Sequence
from pathlib import Path

import pulumi
from pulumi.runtime.config import get_config_env, get_config_secret_keys_env
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components import Ollama, WebUI
from components.existing import saying_what_to_do
from components.guard import only_on
from components.metadata import namespace_labels
from components.takeover import once_stopped, takeover_transformations
from components.transform import load_hook
from components.warn import warn
from settings import SettingsError, load

try:
    settings = load(
        get_config_env(),
        source=f"Pulumi.{pulumi.get_stack()}.yaml",
        secret_keys=frozenset(get_config_secret_keys_env()),
        root=Path(__file__).parent,
    )
except SettingsError as error:
    raise pulumi.RunError(str(error)) from None

warn(settings.warnings())

hook = load_hook(Path(__file__).parent, settings.transform.file)
transformations = [saying_what_to_do(), *takeover_transformations(settings.takeover), *hook.transformations]

# Deleting the namespace would delete the claims in it
namespace = Namespace(
    "namespace",
    metadata=ObjectMetaArgs(
        name=only_on(settings.cluster, settings.namespace),
        labels={**settings.labels, **namespace_labels(settings.pod_security)},
        annotations=dict(settings.annotations) or None,
    ),
    opts=pulumi.ResourceOptions(protect=True, retain_on_delete=True, transformations=transformations),
)
inside = once_stopped(settings.takeover, namespace.metadata.name, settings.namespace)
ollama_urls: Sequence[pulumi.Output[str]] = ()
if settings.ollama.enabled:
    ollama_urls = Ollama(
        "ollama",
        settings.ollama,
        namespace=inside,
        callers=[{"app": "airis"}],
        platform=settings,
        opts=pulumi.ResourceOptions(transformations=transformations),
    ).urls
webui = WebUI(
    "airis",
    settings.webui,
    namespace=inside,
    ollama_urls=ollama_urls,
    ollama_pods={"app": "ollama"} if settings.ollama.enabled else None,
    secrets=settings.secrets,
    ingress=settings.ingress,
    gateway=settings.gateway,
    platform=settings,
    opts=pulumi.ResourceOptions(transformations=transformations),
)
hook.add_objects(namespace.metadata.name)

gpu = settings.ollama.gpu if settings.ollama.enabled else None
pulumi.export("url", webui.url)
pulumi.export("namespace", namespace.metadata.name)
pulumi.export("portForward", webui.port_forward)
pulumi.export("ollamaUrls", ollama_urls)
pulumi.export("gpu", {gpu.asked_for: gpu.count * settings.ollama.replicas} if gpu else {})
