"""Checks of cluster access: connection, identity, versions, served APIs and permissions."""

from airis.cluster.connection import NOT_CONFIGURED
from airis.doctor.checks import Group, Outcomes, Scope, check, not_checked, ok, problem, warning
from airis.doctor.observation import Observation, minor

_ACCESS = Group.ACCESS
_OLDEST = (1, 25)
"""Pod Security admission, which the stack relies on, is stable since 1.25 (Kubernetes, "Pod Security Admission")."""
_RETAINING = (1, 27)
"""`persistentVolumeClaimRetentionPolicy` is on by default since 1.27 (Kubernetes, "StatefulSets")."""
_SKEW = 1


@check(
    "cluster",
    _ACCESS,
    Scope.MACHINE,
    "Is a cluster configured, and does it answer?",
    why="Without a cluster, a Pulumi preview succeeds, and the update fails halfway.",
    remedy="make `kubectl get namespaces` work: check $KUBECONFIG, the context, the VPN and the login",
)
def cluster(seen: Observation) -> Outcomes:
    """Reads the configuration and sends one request."""
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
    "Is the Kubernetes version recent enough for the stack's objects?",
    why="An older API server silently drops unknown fields: 1.24 does not enforce the Pod Security level.",
    remedy="upgrade the cluster; Kubernetes supports its three newest minor versions",
)
def version(seen: Observation) -> Outcomes:
    """Checks the version that the API server reports."""
    server = minor(seen.cluster.version)
    if server == (0, 0):
        yield not_checked(f"cannot parse the API server's version {seen.cluster.version!r}")
        return
    if server < _OLDEST:
        yield problem(f"the cluster is {seen.cluster.version}; it must be 1.25 or newer")
    elif server < _RETAINING:
        yield warning(
            f"the cluster is {seen.cluster.version}: before 1.27, persistentVolumeClaimRetentionPolicy has no effect, and a "
            "StatefulSet keeps its claims"
        )
    else:
        yield ok(f"the cluster is {seen.cluster.version}")


@check(
    "kubectl-version",
    _ACCESS,
    Scope.CLUSTER,
    "Are kubectl and the cluster at most one minor version apart?",
    why="Kubernetes supports no larger skew. An older kubectl lacks newer kinds; a newer one uses APIs that are not served.",
    remedy="install a kubectl with the cluster's minor version",
)
def kubectl_version(seen: Observation) -> Outcomes:
    """Compares kubectl's version with the server's (Kubernetes, "Version Skew Policy")."""
    server, client = seen.cluster.version, seen.cluster.client
    if (0, 0) in (minor(server), minor(client)):
        yield not_checked(f"cannot parse the versions {client!r} and {server!r}")
    elif abs(minor(client)[1] - minor(server)[1]) > _SKEW:
        yield warning(f"kubectl is {client}, the cluster {server}: more than one minor version apart")
    else:
        yield ok(f"kubectl is {client}")


@check(
    "api-versions",
    _ACCESS,
    Scope.STACK,
    "Does the cluster serve every API that the stack uses?",
    why="The API server rejects objects of an unserved API, after other objects have been created.",
    remedy="install what provides the API (Gateway API, a version with DRA), or remove the setting that needs it",
)
def api_versions(seen: Observation) -> Outcomes:
    """Checks the apiVersion of each object."""
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
    why="On another cluster, objects with the same names hold other data.",
    remedy="select the stack's cluster by its context or kubeconfig",
)
def identity(seen: Observation) -> Outcomes:
    """Compares the cluster with the pin `airis:cluster` (uid, context, server)."""
    pinned = seen.stack.settings.cluster
    if pinned.uid is not None:
        seen.known("namespaces")
    if seen.identity:
        yield problem(seen.identity)
    elif pinned.uid is None and pinned.context is None and pinned.server is None:
        yield warning(
            "the stack is not pinned to a cluster: `up` deploys to whichever cluster is configured",
            "`airis up` prints the command that pins it (airis:cluster.uid)",
        )
    else:
        yield ok("it is the cluster that the stack belongs to")


@check(
    "permissions",
    _ACCESS,
    Scope.STACK,
    "Does the user have the permissions that `up` needs, for every kind of object in the stack?",
    why="A missing permission fails the update halfway, after other objects have been created.",
    remedy="request a Role with these verbs in the stack's namespace, and a ClusterRole for cluster-scoped resources",
)
def permissions(seen: Observation) -> Outcomes:
    """Evaluates SelfSubjectAccessReviews."""
    seen.known("rights")
    denied: dict[str, list[str]] = {}
    for each in seen.cluster.rights:
        if not each.allowed:
            denied.setdefault(each.resource, []).append(each.verb)
    for resource, verbs in denied.items():
        yield problem(f"not permitted: {', '.join(verbs)} {resource}")
    if not denied:
        kinds = len({each.resource for each in seen.cluster.rights})
        yield ok(f"the user has the permissions that `up` needs for {kinds} kinds of objects")
