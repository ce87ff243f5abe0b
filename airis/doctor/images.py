"""Checks of images: whether each exists, for the architecture of the nodes that its pods may run on."""

import re
from collections.abc import Sequence

from airis.cluster.image_pulls import OTHER_ARCHITECTURE, instead
from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import is_ready
from airis.doctor.checks import Group, Outcome, Outcomes, Scope, check, listed, not_checked, ok, problem, warning
from airis.doctor.observation import Observation, name_of
from airis.doctor.registry import Answer, Presence, is_local
from airis.doctor.requirements import Workload, asked
from airis.doctor.scheduling import allocatable, labels_missing, taints_refusing
from settings.types.images import located

_ALSO_RUNS = {"amd64": ("386",), "arm64": ("arm",)}
"""Further architectures that a node of this one runs. Source: containerd/platforms, compare.go (platformVector)."""

_OWN_CREDENTIALS = re.compile(
    r"[\w.-]+\.dkr\.ecr(-fips)?\.[\w.-]+\.amazonaws\.com(\.cn)?|([\w.-]+\.)?gcr\.io|[\w.-]+-docker\.pkg\.dev|[\w.-]+\.azurecr\.\w+"
)
"""Registries that nodes of the same cloud have credentials for. Source: matchImages in the documentation of the kubelet's
credential providers: ecr-credential-provider, gcp-credential-provider, acr-credential-provider."""


@check(
    "images",
    Group.REFERENCES,
    Scope.STACK,
    "Does each image exist, for the architecture of the nodes?",
    why="If an image does not exist, or is built for another architecture, the pod stays in ImagePullBackOff or "
    "CrashLoopBackOff.",
    remedy="choose a release that the registry lists; for a private image, set a pull secret (airis:imagePullSecrets)",
)
def images(seen: Observation) -> Outcomes:
    """Queries the registries from this machine, without credentials, and reads which images the nodes have."""
    for image, users in seen.stack.images.items():
        nodes = _nodes(seen, users)
        if nodes and not _always_pulled(image, users) and all(_has(each, image) for each in nodes):
            yield ok(f"image {image} is present on the nodes")
            continue
        said = seen.images.get(image, Answer(Presence.UNKNOWN, why="its registry was not queried"))
        match said.presence:
            case Presence.THERE:
                yield _built(image, said.platforms, nodes)
            case Presence.UNKNOWN:
                yield not_checked(f"image {image}: {said.why}")
            case _:
                yield _not_shown(seen, image, users, said.presence)


def _not_shown(seen: Observation, image: str, users: Sequence[Workload], presence: Presence) -> Outcome:
    if is_local(image):
        return not_checked(
            f"image {image}: the registry on this machine does not have it; on a node, localhost is the node"
        )
    remedy = instead(image, {"metadata": {"labels": users[0].labels}, "spec": users[0].pod})
    if presence is Presence.MISSING:
        return problem(f"image {image} does not exist", remedy)
    words = f"image {image} needs credentials, or does not exist"
    if secrets := seen.stack.pull_secrets:
        return not_checked(f"{words}: the stack sets pull secret {listed(secrets)}")
    if _OWN_CREDENTIALS.fullmatch(located(image)[0]):
        return not_checked(f"{words}: nodes in that cloud may have them")
    return problem(
        f"{words}, and the stack sets no pull secret",
        f"{remedy}; for a private image, set a pull secret (airis:imagePullSecrets)",
    )


def _built(image: str, platforms: Sequence[str], nodes: Sequence[KubeObject]) -> Outcome:
    if not platforms:
        return ok(f"image {image} exists")
    unfit = [each for each in nodes if not _runs(each, platforms)]
    if not unfit:
        return ok(f"image {image} exists, for {listed(platforms)}")
    wrong = listed(sorted({_platform(each) for each in unfit}))
    words = f"image {image} is built for {listed(platforms)}, not for {wrong}"
    if len(unfit) == len(nodes):
        return problem(
            f"{words}, the platform of the nodes", "choose an image for that platform, or add nodes that can run it"
        )
    return warning(f"{words}, the platform of {listed(map(name_of, unfit))}", OTHER_ARCHITECTURE)


def _nodes(seen: Observation, users: Sequence[Workload]) -> list[KubeObject]:
    """The nodes that the pods may run on; none if nodes may not be listed."""
    return [
        node
        for node in seen.cluster.objects.get("nodes", ())
        if is_ready(node) and any(_admits(node, each) for each in users)
    ]


def _admits(node: KubeObject, workload: Workload) -> bool:
    if labels_missing(workload.pod, node) or taints_refusing(workload.pod, node):
        return False
    offered = allocatable(node)
    return all(offered.get(each) for each in asked(workload.pod) if "/" in each)


def _platform(node: KubeObject) -> str:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    return f"{info.get('operatingSystem', '')}/{info.get('architecture', '')}"


def _runs(node: KubeObject, platforms: Sequence[str]) -> bool:
    """Whether the node runs one of these; assumed if the node does not report its platform."""
    system, _, architecture = _platform(node).partition("/")
    if not system or not architecture:
        return True
    return any(f"{system}/{each}" in platforms for each in (architecture, *_ALSO_RUNS.get(architecture, ())))


def _has(node: KubeObject, image: str) -> bool:
    names = (name for each in (node.get("status") or {}).get("images") or [] for name in each.get("names") or [])
    return located(image) in map(located, names)


def _always_pulled(image: str, users: Sequence[Workload]) -> bool:
    """Whether nodes always pull. Source: Kubernetes, "Images: default image pull policy"."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2] or "latest"
    given = [
        each.get("imagePullPolicy") or ("Always" if tag == "latest" and "@" not in image else "IfNotPresent")
        for workload in users
        for each in [*(workload.pod.get("initContainers") or []), *(workload.pod.get("containers") or [])]
        if each["image"] == image
    ]
    return "Always" in given
