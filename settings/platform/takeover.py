"""Settings of the first `up` that adopts existing objects. `airis adopt` writes them."""

from collections.abc import Iterator
from typing import Literal

from pydantic import StrictBool

from settings.types.base import Broken, Settings
from settings.types.names import Dns1123Subdomain


class StoppedWorkload(Settings):
    """A previous workload that must not run at the same time as the stack."""

    kind: Literal["Deployment", "StatefulSet"]
    """Kind of the workload."""
    name: Dns1123Subdomain
    """Name of the workload, in the stack's namespace."""


class TakeoverSettings(Settings):
    """Adoption of an existing installation: see docs/moving.md. Remove this section after the first successful `up`."""

    enabled: StrictBool = False
    """Adopt objects that exist already. Pulumi then applies as field manager `airis`, to which `airis adopt` has transferred
    the fields that kubectl or Helm owned. Also requires `kubernetes:upsertExistingObjects: "true"`."""
    stopped: tuple[StoppedWorkload, ...] = ()
    """Previous workloads that use the same volumes under other names. While one of them has pods, every preview and `up` is
    refused: two processes must never use one SQLite database."""

    def rules(self) -> Iterator[Broken]:
        """Entries without effect, and duplicates."""
        if self.stopped and not self.enabled:
            names = [f"{each.kind}/{each.name}" for each in self.stopped]
            yield Broken("stopped", names, "[], or also set enabled: true", ("enabled",))
        for index, each in enumerate(self.stopped):
            if each in self.stopped[:index]:
                yield Broken(f"stopped.{index}", f"{each.kind}/{each.name}", "each workload once")
