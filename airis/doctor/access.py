"""Checks of the way to the cluster: does it answer, is it the right one, of a supported version, and what may be done there."""

from airis.cluster.connection import NOT_CONFIGURED
from airis.doctor.checks import Group, Outcomes, Scope, check, not_checked, ok, problem, warning
from airis.doctor.observation import Observation, minor

_ACCESS = Group.ACCESS
_OLDEST = (1, 25)
"""Pod Security admission, by which the stack's namespace says what its pods may do, is stable since 1.25
(Kubernetes, "Pod Security Admission")."""
_RETAINING = (1, 27)
"""`persistentVolumeClaimRetentionPolicy` is on by default since 1.27 (Kubernetes, "StatefulSets")."""
_SKEW = 1


@check(
    "cluster",
    _ACCESS,
    Scope.MACHINE,
    "Is a cluster configured, and does it answer?",
    why="Pulumi calls a preview without a cluster a success, and fails in the middle of the update.",
    remedy="`kubectl get namespaces` must work: look at $KUBECONFIG, the context, a VPN, an expired login",
)
def cluster(seen: Observation) -> Outcomes:
    """The configuration, and one request."""
    if seen.address is None and seen.silence:
        yield problem(seen.silence)
    elif seen.address is None:
        yield not_checked(NOT_CONFIGURED)
    elif seen.server is None:
        yield problem(f"{seen.address} does not answer: {seen.silence}")
    else:
        server = f", server {seen.address.server}" if seen.address.server else ""
        yield ok(f"{seen.address}{server} answers")


@check(
    "version",
    _ACCESS,
    Scope.CLUSTER,
    "Is the cluster of a version that the stack's objects need?",
    why="An older API server drops fields it does not know, without a word: with 1.24 nothing enforces the Pod Security level.",
    remedy="upgrade the cluster; Kubernetes supports its three newest minor versions",
)
def version(seen: Observation) -> Outcomes:
    """What the server says of itself."""
    server = minor(seen.cluster.version)
    if server == (0, 0):
        yield not_checked(f"the server's version reads {seen.cluster.version!r}")
        return
    if server < _OLDEST:
        yield problem(f"the cluster is {seen.cluster.version}; it must be 1.25 or newer")
    elif server < _RETAINING:
        yield warning(
            f"the cluster is {seen.cluster.version}: before 1.27 a StatefulSet does not know what becomes of its claims, and "
            "keeps them"
        )
    else:
        yield ok(f"the cluster is {seen.cluster.version}")


@check(
    "kubectl-version",
    _ACCESS,
    Scope.CLUSTER,
    "Are kubectl and the cluster at most one minor version apart?",
    why="Kubernetes supports no more. An older kubectl does not know newer kinds, and a newer one asks for what is not served.",
    remedy="install a kubectl of the cluster's version",
)
def kubectl_version(seen: Observation) -> Outcomes:
    """Kubectl's version against the server's (Kubernetes, "Version Skew Policy")."""
    server, client = seen.cluster.version, seen.cluster.client
    if (0, 0) in (minor(server), minor(client)):
        yield not_checked(f"the versions read {client!r} and {server!r}")
    elif abs(minor(client)[1] - minor(server)[1]) > _SKEW:
        yield warning(f"kubectl is {client}, the cluster {server}: more than one minor version apart")
    else:
        yield ok(f"kubectl is {client}")


@check(
    "api-versions",
    _ACCESS,
    Scope.STACK,
    "Does the cluster serve every API that the stack has objects of?",
    why="An object of an API that is not served is refused, after others have been made.",
    remedy="install what defines it (Gateway API, a DRA-capable version), or take the setting out that asks for it",
)
def api_versions(seen: Observation) -> Outcomes:
    """The apiVersion of each object."""
    missing: dict[str, str] = {}
    for each in seen.stack.objects:
        group, _, wanted = str(each["apiVersion"]).rpartition("/")
        if group and wanted not in seen.cluster.groups.get(group, ()):
            missing.setdefault(str(each["apiVersion"]), str(each["kind"]))
    for api, kind in missing.items():
        yield problem(f"the cluster does not serve {api} ({kind})")
    if not missing:
        yield ok("the cluster serves every API that the stack uses")


@check(
    "identity",
    _ACCESS,
    Scope.STACK,
    "Is this the cluster that the stack belongs to?",
    why="The same names on another cluster are somebody else's data.",
    remedy="choose the stack's own cluster by its context or kubeconfig",
)
def identity(seen: Observation) -> Outcomes:
    """The pin `airis:cluster` (uid, context, server)."""
    pinned = seen.stack.settings.cluster
    if pinned.uid is not None:
        seen.known("namespaces")
    if seen.identity:
        yield problem(seen.identity)
    elif pinned.uid is None and pinned.context is None and pinned.server is None:
        yield warning(
            "the stack is not tied to a cluster: it would deploy to any that is configured",
            "`airis up` prints the command that ties it (airis:cluster.uid)",
        )
    else:
        yield ok("it is the cluster that the stack belongs to")


@check(
    "permissions",
    _ACCESS,
    Scope.STACK,
    "May the user do what `up` does, with every kind of object that the stack has?",
    why="What is forbidden fails in the middle of an update, when other objects have been made already.",
    remedy="ask for a Role with these verbs in the stack's namespace, and for a ClusterRole for what stands outside of it",
)
def permissions(seen: Observation) -> Outcomes:
    """SelfSubjectAccessReviews: the API server's own answer."""
    seen.known("rights")
    denied: dict[str, list[str]] = {}
    for each in seen.cluster.rights:
        if not each.allowed:
            denied.setdefault(each.resource, []).append(each.verb)
    for resource, verbs in denied.items():
        yield problem(f"not permitted: {', '.join(verbs)} {resource}")
    if not denied:
        kinds = len({each.resource for each in seen.cluster.rights})
        yield ok(f"everything that `up` does with {kinds} kinds of objects is permitted")
