"""Settings of the way in from outside the cluster."""

from collections.abc import Iterator

from settings.base import Broken, Settings
from settings.names import Dns1123Subdomain, Host


class IngressSettings(Settings):
    """The Ingress in front of the WebUI. There is one as soon as there is a host. Ollama never gets one."""

    host: Host | None = None
    """Host name under which the WebUI is reached; null makes no Ingress."""
    class_name: Dns1123Subdomain | None = None
    """IngressClass; null takes the cluster's default."""

    def rules(self) -> Iterator[Broken]:
        """A class without a host would be dropped in silence."""
        if self.class_name is not None and self.host is None:
            yield Broken("className", self.class_name, "only together with a host", ("host",))
