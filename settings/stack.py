"""Everything that a stack file may say."""

from collections.abc import Iterator

from settings.base import Broken, Settings
from settings.ingress import IngressSettings
from settings.names import Dns1123Label, Dns1123Subdomain
from settings.ollama import OllamaSettings
from settings.webui import WebUISettings


class StackSettings(Settings):
    """The settings of one stack. Each field is one `airis:` key of its stack file."""

    namespace: Dns1123Label = "airis"
    """Namespace that everything lives in; it is created."""
    cluster_domain: Dns1123Subdomain = "cluster.local"
    """DNS domain of the cluster, the end of every Service's full name."""
    image_pull_secrets: tuple[Dns1123Subdomain, ...] = ()
    """Existing Secrets, in the stack's namespace, with the credentials of private image registries."""
    webui: WebUISettings = WebUISettings()
    """The Open WebUI front end."""
    ollama: OllamaSettings = OllamaSettings()
    """The Ollama model server."""
    ingress: IngressSettings = IngressSettings()
    """The way in from outside the cluster."""

    def rules(self) -> Iterator[Broken]:
        """Server-side apply refuses a pod that names the same Secret twice."""
        for index, name in enumerate(self.image_pull_secrets):
            if name in self.image_pull_secrets[:index]:
                yield Broken(f"imagePullSecrets.{index}", name, "each Secret once")
