"""Checks of cluster add-ons: the metrics server, and a network plugin that enforces NetworkPolicies."""

from collections.abc import Sequence

from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import condition
from airis.doctor.checks import Group, Outcome, Outcomes, Scope, check, listed, not_checked, ok, problem, warning
from airis.doctor.observation import Observation, name_of, named
from airis.doctor.probe import GUARDED
from airis.doctor.probe_results import Probed, Role
from airis.doctor.probe_script import CONNECTION

_METRICS = "v1beta1.metrics.k8s.io"
_ENFORCING = (
    "calico-node",
    "cilium",
    "anetd",
    "antrea-agent",
    "kube-router",
    "weave-net",
    "ovnkube",
    "azure-npm",
    "canal",
    "romana",
    "kindnet",
)
"""DaemonSets of network plugins that enforce NetworkPolicies; kindnet does since kind 0.24 (kind, release notes)."""
_NOT_ENFORCING = ("kube-flannel",)


@check(
    "metrics",
    Group.PLATFORM,
    Scope.CLUSTER,
    "Is a metrics server installed?",
    why="Without metrics, a HorizontalPodAutoscaler does not scale. `kubectl top` needs them, too.",
    remedy="install metrics-server (`minikube addons enable metrics-server`), or remove airis:webui.autoscaling",
)
def metrics(seen: Observation) -> Outcomes:
    """Checks that the APIService v1beta1.metrics.k8s.io is Available."""
    autoscalers = [] if seen.wanted is None else seen.wanted.of_kind("HorizontalPodAutoscaler")
    if seen.wanted is not None and not autoscalers:
        return
    found = named(seen.all("apiservices.apiregistration.k8s.io"), _METRICS)
    available = {} if found is None else condition(found, "Available")
    if available.get("status") == "True":
        yield ok("the metrics server answers")
        return
    words = (
        "there is no metrics server"
        if found is None
        else f"the metrics server does not answer: {available.get('message', '')}"
    )
    if autoscalers:
        yield problem(
            f"{words}, and {listed(f'HorizontalPodAutoscaler/{name_of(each)}' for each in autoscalers)} needs it"
        )
    else:
        yield warning(words)


@check(
    "network-policies",
    Group.PLATFORM,
    Scope.CLUSTER,
    "Does the cluster's network plugin enforce NetworkPolicies?",
    why="If it does not, NetworkPolicies have no effect: every pod in the cluster can use Ollama, which has no authentication.",
    remedy="install a network plugin that does, such as Calico or Cilium (`minikube start --cni=calico`), or accept the risk",
)
def network_policies(seen: Observation) -> Outcomes:
    """Reads the results of two probe pods, or else the names of the plugins' DaemonSets and, for k3s, the kubelet version.

    Kubernetes has no API for this.
    """
    if seen.wanted is not None and not seen.wanted.settings.network.policies:
        return
    if seen.probed is not None and not seen.probed.obstacle:
        yield _proven(seen.probed)
        return
    plugin, enforces = network_plugin(seen.all("daemonsets.apps"), seen.cluster.objects.get("nodes", ()))
    if enforces is None:
        yield warning(
            "cannot tell whether NetworkPolicies are enforced: no network plugin known to enforce them was found"
        )
    elif not enforces:
        yield warning(f"{plugin} alone does not enforce NetworkPolicies")
    elif plugin == K3S:
        yield ok("k3s enforces NetworkPolicies, unless that is disabled")
    else:
        yield ok(f"{plugin} enforces NetworkPolicies")


def _proven(probed: Probed) -> Outcome:
    """Whether a pod without the stack's labels is blocked, and one with the WebUI's labels is not."""
    unknown = "cannot tell whether NetworkPolicies are enforced: "
    if not probed.guarded:
        return not_checked(f"{unknown}the stack has no pod that admits only the WebUI's pods")
    if not probed.policies:
        return not_checked(f"{unknown}the stack's policies are not deployed yet")
    for role in (Role.WEBUI, Role.STRANGER):
        if role in probed.silent:
            return not_checked(f"{unknown}the probe pod reported nothing: {probed.silent[role]}")
    known = next((each for each in probed.of(Role.WEBUI) if each.key == GUARDED), None)
    stranger = next((each for each in probed.of(Role.STRANGER) if each.key == GUARDED), None)
    if known is None or stranger is None or known.failed:
        why = known.why if known is not None else "not tried"
        return not_checked(f"{unknown}a pod with the WebUI's labels does not reach {probed.guarded} either: {why}")
    if not stranger.failed and probed.others:
        return not_checked(
            f"{unknown}a pod without the stack's labels reached {probed.guarded}, but other NetworkPolicies of the namespace "
            f"may admit it: {listed(probed.others)}"
        )
    if not stranger.failed:
        return warning(f"NetworkPolicies are not enforced: a pod without the required labels reached {probed.guarded}")
    if stranger.failed != CONNECTION:
        return not_checked(f"{unknown}for the pod without the stack's labels, the step {stranger.failed} failed")
    return ok(
        f"NetworkPolicies are enforced: {probed.guarded} admits a pod with the WebUI's labels, but not one without"
    )


K3S = "k3s"


def network_plugin(daemon_sets: Sequence[KubeObject], nodes: Sequence[KubeObject]) -> tuple[str, bool | None]:
    """The network plugin's name, and whether it enforces NetworkPolicies; empty and None if unknown."""
    names = [name_of(each) for each in daemon_sets]
    if enforcing := [name for name in names if name.startswith(_ENFORCING)]:
        return listed(enforcing), True
    kubelets = [str(((each.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion", "")) for each in nodes]
    if any("+k3s" in each for each in kubelets):
        return K3S, True
    if plain := [name for name in names if name.startswith(_NOT_ENFORCING)]:
        return listed(plain), False
    return "", None
