"""Takes a snapshot: reads from a cluster, and changes nothing. What may not be read is recorded as unknown."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from airis.cluster.connection import Cluster, configured_cluster, connected
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.cluster.readiness import group_of
from airis.doctor.checks import listed
from airis.doctor.examination import no_stack
from airis.doctor.observation import Keys, name_of
from airis.doctor.observe import Seen, groups_of, list_all, list_own, versions_of, why
from airis.doctor.platform import network_plugin
from airis.doctor.queries import all_keys
from airis.rehearse.snapshot.kept_fields import KEPT
from airis.rehearse.snapshot.model import Addresses, Definition, Held, Network, Snapshot, in_order
from airis.stack_file.stacks import StackFile, read_stacks, settings_of
from airis.terminal.errors import AirisError, EnvironmentProblem
from airis.terminal.progress import step

_NOT_SERVED = "the server doesn't have a resource type"
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
_WEBHOOKS = tuple(f"{each}webhookconfigurations.admissionregistration.k8s.io" for each in ("mutating", "validating"))
_FOR_EVIDENCE = ("services", "daemonsets.apps", "deployments.apps")
"""Read but not kept: they show the network plugin, and whether LoadBalancer Services get addresses."""

_UNSTABLE = ("helm.sh/release.v1", "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token")
"""Types of Secrets that are created and deleted automatically, and that no pod refers to."""

_DEFINED = (
    "{{range .items}}{{.spec.group}} {{.spec.names.kind}} {{.spec.names.plural}} {{.spec.scope}}"
    '{{range .spec.versions}}{{if .served}} {{.name}}{{end}}{{end}}{{"\\n"}}{{end}}'
)
_DOMAIN = re.compile(r"^\s*kubernetes\s+(?P<domain>[a-z0-9][a-z0-9.-]*)", re.MULTILINE)
_COREDNS = ("coredns", "rke2-coredns-rke2-coredns")
"""ConfigMaps of CoreDNS. Only the cluster's domain is read from its configuration."""

_GIVERS = (
    "metallb",
    "speaker",
    "kube-vip",
    "purelb",
    "svclb-",
    "aws-load-balancer-controller",
    "cloud-controller-manager",
)
"""Name prefixes of the workloads of load balancer controllers: MetalLB, kube-vip, PureLB, k3s, clouds."""

_CLOUDS = {
    "aws": "AWS",
    "azure": "Azure",
    "gce": "Google Cloud",
    "digitalocean": "DigitalOcean",
    "hcloud": "Hetzner Cloud",
}
"""Clouds by the scheme of their nodes' providerID: each has a load balancer controller."""


def snapshot_of(stacks: Sequence[str], namespace: str | None, kubeconfig: Path | None) -> Snapshot:
    """The snapshot of the stacks' cluster, with their namespaces; `stacks` may contain patterns.

    Without stacks, of the configured cluster with `namespace`, or else the context's namespace. `kubeconfig` selects another
    cluster. Raises AirisError for an invalid stack, and for stacks on different clusters, before any request;
    EnvironmentProblem if no cluster is configured, or it does not answer.
    """
    if stacks and namespace is not None:
        raise AirisError(
            "--stack and --namespace are mutually exclusive", "a stack sets its namespace: airis:namespace"
        )
    read = read_stacks(stacks) if stacks else [no_stack()]
    if kubeconfig is None:
        _refuse_several(read)
    settings = [settings_of(each) for each in read] if stacks else []
    used = {kind for each in read if stacks for kind in _kinds(each)}
    namespaces = sorted({each.namespace for each in settings} | ({namespace} if namespace else set()))
    with ExitStack() as stack:
        cluster = stack.enter_context(connected(read[0], namespaces[0] if namespaces else "default", kubeconfig))
        stack.enter_context(step("Taking the snapshot"))
        try:
            return take(cluster, namespaces or [_of_context(cluster)], used, datetime.now(UTC).date())
        except KubectlError as error:
            raise EnvironmentProblem(
                f"unexpected answer from the cluster: {error.message}", "nothing was changed"
            ) from None


def take(cluster: Cluster, namespaces: Sequence[str], used: Collection[tuple[str, str]], today: date) -> Snapshot:
    """Takes the snapshot. `used` are the groups and kinds whose definitions are kept with their schema.

    Raises KubectlError if the cluster does not answer.
    """
    version = versions_of(cluster)
    seen = Seen()
    groups = groups_of(cluster)
    wide = [each for each, kept in KEPT.items() if kept.asked and not kept.own and _is_served(each, groups)]
    list_all(cluster, [*wide, *_WEBHOOKS, *_FOR_EVIDENCE], seen)
    unknown = {each: words for each, words in seen.unknown.items() if _NOT_SERVED not in words}
    definitions = _definitions(cluster, unknown)
    objects: list[KubeObject] = [KEPT[each].of(body) for each in wide for body in seen.objects.get(each, ())]
    objects += _whole(cluster, definitions, used, unknown)
    secrets: list[Held] = []
    config_maps: list[Held] = []
    for name in namespaces:
        own = replace(cluster, namespace=name)
        objects += _inside(own, unknown)
        secrets += _held(own, "secrets", unknown)
        config_maps += _held(own, "configmaps", unknown)
    plugin, enforces = network_plugin(seen.objects.get("daemonsets.apps", ()), seen.objects.get("nodes", ()))
    addresses = addresses_of(seen, unknown)
    domain = _domain(cluster)
    for each in _FOR_EVIDENCE:
        unknown.pop(each, None)
    if domain is None:
        unknown["domain"] = "No readable ConfigMap of CoreDNS in kube-system contains it."
    return Snapshot(
        taken=today,
        server=str(version.get("serverVersion", {}).get("gitVersion", "")),
        namespaces=tuple(sorted(namespaces)),
        domain=domain,
        network=Network(
            plugin=plugin or "unknown: no known network plugin was found",
            policies="unknown" if enforces is None else "enforced" if enforces else "not enforced",
        ),
        load_balancers=addresses,
        unknown=dict(sorted(unknown.items())),
        webhooks=tuple(
            sorted(f"{body['kind']}/{name_of(body)}" for each in _WEBHOOKS for body in seen.objects.get(each, ()))
        ),
        definitions=tuple(sorted(definitions, key=lambda each: (each.group, each.kind))),
        secrets=tuple(sorted(secrets, key=lambda each: (each.namespace, each.name))),
        config_maps=tuple(sorted(config_maps, key=lambda each: (each.namespace, each.name))),
        objects=tuple(in_order(list(_with_readable_volumes(objects)))),
    )


def _refuse_several(stacks: Sequence[StackFile]) -> None:
    found = {each.name: configured_cluster(each) for each in stacks}
    places = {(each.context, each.server) for each in found.values() if each is not None}
    if len(places) > 1:
        words = ", ".join(f"{name}: {each}" for name, each in found.items())
        raise AirisError(f"these stacks are on different clusters ({words})", "take a snapshot of each cluster")


def _kinds(stack: StackFile) -> Iterator[tuple[str, str]]:
    from airis.render.objects import manifests  # noqa: PLC0415  (heavy, and not needed without a stack)

    for each in manifests(stack):
        yield group_of(each), str(each["kind"])


def _of_context(cluster: Cluster) -> str:
    found = cluster.run("config", "view", "--minify", "--output=jsonpath={.contexts[0].context.namespace}").strip()
    return found or "default"


def _is_served(resource: str, groups: Mapping[str, Sequence[str]]) -> bool:
    group = resource.partition(".")[2]
    return not group or group in groups


def _definitions(cluster: Cluster, unknown: dict[str, str]) -> list[Definition]:
    try:
        text = cluster.run("get", _DEFINITIONS, f"--output=go-template={_DEFINED}")
    except KubectlError as error:
        unknown[_DEFINITIONS] = why(error)
        return []
    rows = [line.split() for line in text.splitlines() if line.strip()]
    return [
        Definition(
            group=group,
            kind=kind,
            plural=plural,
            scope="Cluster" if scope == "Cluster" else "Namespaced",
            versions=tuple(sorted(versions)),
        )
        for group, kind, plural, scope, *versions in rows
    ]


def _whole(
    cluster: Cluster,
    definitions: Iterable[Definition],
    used: Collection[tuple[str, str]],
    unknown: dict[str, str],
) -> list[KubeObject]:
    """The definitions of the kinds that stacks use, with their schemas, with which the sandbox validates objects."""
    names = [f"{each.plural}.{each.group}" for each in definitions if (each.group, each.kind) in used]
    if not names:
        return []
    try:
        return [KEPT[_DEFINITIONS].of(each) for each in cluster.get(_DEFINITIONS, *names)]
    except KubectlError as error:
        unknown[_DEFINITIONS] = why(error)
        return []


def _inside(cluster: Cluster, unknown: dict[str, str]) -> Iterator[KubeObject]:
    """A namespace, and the kept objects in it."""
    try:
        yield from (KEPT["namespaces"].of(each) for each in cluster.get("namespaces", cluster.namespace))
    except KubectlError as error:
        unknown[f"{cluster.namespace}/namespaces"] = why(error)
    seen = Seen()
    resources = [each for each, kept in KEPT.items() if kept.own]
    list_own(cluster, resources, seen)
    for resource, words in seen.unknown.items():
        unknown[f"{cluster.namespace}/{resource}"] = words
    for resource in resources:
        yield from (KEPT[resource].of(each) for each in seen.own.get(resource, ()))


def _held(cluster: Cluster, resource: str, unknown: dict[str, str]) -> list[Held]:
    try:
        found: Sequence[Keys] = all_keys(cluster, resource)
    except KubectlError as error:
        unknown[f"{cluster.namespace}/{resource}"] = why(error)
        return []
    return [
        Held(
            namespace=cluster.namespace,
            name=each.name,
            type="" if resource == "configmaps" else each.type,
            keys=tuple(sorted(each.keys)),
        )
        for each in found
        if each.type not in _UNSTABLE
    ]


def _domain(cluster: Cluster) -> str | None:
    try:
        text = cluster.run(
            "get",
            "configmap",
            *_COREDNS,
            "--namespace=kube-system",
            "--ignore-not-found",
            "--output=jsonpath={..Corefile}",
        )
    except KubectlError:
        return None
    found = _DOMAIN.search(text)
    return found["domain"].rstrip(".") if found else None


def addresses_of(seen: Seen, unknown: Mapping[str, str]) -> Addresses:
    """Whether LoadBalancer Services get addresses: by existing Services, then by controllers and nodes."""
    services = [each for each in seen.objects.get("services", ()) if each["spec"].get("type") == "LoadBalancer"]
    having = [each for each in services if ((each.get("status") or {}).get("loadBalancer") or {}).get("ingress")]
    if having:
        return Addresses(given="yes", evidence=f"Services with an address: {listed(map(_named, having))}")
    workloads = [*seen.objects.get("daemonsets.apps", ()), *seen.objects.get("deployments.apps", ())]
    givers = [
        _named(each)
        for each in workloads
        if any(part in text for part in _GIVERS for text in (name_of(each), str(each["metadata"].get("namespace"))))
    ]
    if givers:
        return Addresses(given="yes", evidence=f"load balancer controller: {listed(givers)}")
    schemes = {
        str((each.get("spec") or {}).get("providerID", "")).partition("://")[0]
        for each in seen.objects.get("nodes", ())
    }
    if clouds := sorted(_CLOUDS[each] for each in schemes if each in _CLOUDS):
        return Addresses(given="yes", evidence=f"the nodes are machines of {listed(clouds)}")
    if without := [_named(each) for each in services]:
        return Addresses(given="no", evidence=f"Services without an address: {listed(without)}")
    if missing := [each for each in (*_FOR_EVIDENCE, "nodes") if each in unknown]:
        return Addresses(given="unknown", evidence=f"listing is not permitted: {', '.join(missing)}")
    return Addresses(given="no", evidence="no Service has an address, and no known load balancer controller was found")


def _named(body: KubeObject) -> str:
    return f"{body['metadata'].get('namespace')}/{name_of(body)}"


def _with_readable_volumes(objects: Sequence[KubeObject]) -> Iterator[KubeObject]:
    """Available volumes, and those of kept claims, renamed from the claim's UID to its name."""
    claims = {
        (each["metadata"]["namespace"], name_of(each)) for each in objects if each["kind"] == "PersistentVolumeClaim"
    }
    for each in objects:
        if each["kind"] != "PersistentVolume":
            yield each
            continue
        claim = each["spec"].get("claimRef") or {}
        if (claim.get("namespace"), claim.get("name")) in claims:
            yield {**each, "metadata": {**each["metadata"], "name": f"{claim['namespace']}-{claim['name']}"}}
        elif (each.get("status") or {}).get("phase") == "Available":
            yield each
