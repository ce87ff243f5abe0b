"""Does the work of a cluster's other controllers in the sandbox, while stacks start."""

from collections.abc import Sequence

from airis.cluster.kubectl import Kubectl, KubeObject
from airis.rehearse.sandbox.cluster_objects import furnish, provision
from airis.rehearse.snapshot.environment import Surroundings


class Attendant:
    """Creates assumed objects and provisions volumes in the sandbox, while stacks start."""

    def __init__(self, around: Surroundings, kubectl: Kubectl) -> None:
        self._around = around
        self._later = list(around.later)
        self._kubectl = kubectl

    def __call__(self, live: Sequence[KubeObject]) -> bool:
        """Creates assumed objects once their namespace exists, and the volumes that provisioners would create.

        Returns whether it created anything.
        """
        there = {each["metadata"]["name"] for each in live if each["kind"] == "Namespace"}
        ready = [each for each in self._later if _place_of(each) in there]
        self._later = [each for each in self._later if each not in ready]
        furnish(ready, self._kubectl)
        if self._around.replaces:
            claims = [each for each in live if each["kind"] == "PersistentVolumeClaim"]
            made = provision(claims, self._around.unprovisioned, self._kubectl)
            return bool(ready or made)
        return bool(ready)


def _place_of(body: KubeObject) -> str:
    """The namespace of a claim, or of a volume's claim."""
    return str(body["metadata"].get("namespace") or body["spec"]["claimRef"]["namespace"])
