"""Does in the sandbox what others do in a cluster while a stack comes up."""

from collections.abc import Sequence

from airis.cluster.kubectl import Kubectl, KubeObject
from airis.rehearse.sandbox.cluster_objects import furnish, provision
from airis.rehearse.snapshot.environment import Surroundings


class Attendant:
    """Does in the sandbox what has to be done while stacks come up."""

    def __init__(self, around: Surroundings, kubectl: Kubectl) -> None:
        self._around = around
        self._later = list(around.later)
        self._kubectl = kubectl

    def __call__(self, live: Sequence[KubeObject]) -> bool:
        """Makes what is assumed in a namespace once that is there, and the volumes that provisioners would make.

        Returns whether there was something to do.
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
    """The namespace of a claim, or of the claim that a volume is for."""
    return str(body["metadata"].get("namespace") or body["spec"]["claimRef"]["namespace"])
