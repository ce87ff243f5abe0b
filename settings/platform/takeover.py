"""Settings of the first `up` over objects that something else made: `airis adopt` writes them."""

from collections.abc import Iterator
from typing import Literal

from pydantic import StrictBool

from settings.types.base import Broken, Settings
from settings.types.names import Dns1123Subdomain


class StoppedWorkload(Settings):
    """A workload of before that must not run beside the stack."""

    kind: Literal["Deployment", "StatefulSet"]
    """What it is."""
    name: Dns1123Subdomain
    """Its name, in the stack's namespace."""


class TakeoverSettings(Settings):
    """Taking over what runs already: docs/moving.md. Leave this section out again once the first `up` is through."""

    enabled: StrictBool = False
    """Whether the stack takes over objects that exist already: Pulumi then applies under the name `airis`, to which
    `airis adopt` has handed what kubectl or Helm owned. Also needs `kubernetes:upsertExistingObjects: "true"`."""
    stopped: tuple[StoppedWorkload, ...] = ()
    """Workloads of before that use the same volumes under other names. Every preview and `up` is refused while one of them has
    pods: two processes must never use one SQLite database."""

    def rules(self) -> Iterator[Broken]:
        """What would be looked at by nobody."""
        if self.stopped and not self.enabled:
            names = [f"{each.kind}/{each.name}" for each in self.stopped]
            yield Broken("stopped", names, "[], or also set enabled: true", ("enabled",))
        for index, each in enumerate(self.stopped):
            if each in self.stopped[:index]:
                yield Broken(f"stopped.{index}", f"{each.kind}/{each.name}", "each workload once")
