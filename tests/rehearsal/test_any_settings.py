"""Whatever settings are valid: the API server admits what they become, and the objects fit together."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from airis.rehearse.rehearsal import clean, define
from airis.rehearse.sandbox import Sandbox, definitions_for
from airis.render.manifest import in_order, manifest, to_yaml
from airis.render.program import KubernetesObject, Rendering
from tests.unit.drawing import container, draw, pod_spec, values, workloads
from tests.unit.test_credentials import revealed
from tests.unit.test_stacks_rendered import missing

pytestmark = pytest.mark.timeout(240)

NAMESPACES = ("airis", "apps")
MARKER = "marker-"
PARENT = {"name": "public", "namespace": "infra", "sectionName": "https"}
WAYS_IN: list[dict[str, Any]] = [
    {},
    {"ingress": {"host": "chat.example.com"}},
    {"ingress": {"host": "*.example.com", "hosts": ["a.example.com"], "className": "nginx", "controller": "nginx"}},
    {"ingress": {"host": "a.example.com", "controller": "traefik", "tls": {"clusterIssuer": "letsencrypt"}}},
    {
        "ingress": {"host": "a.example.com", "controller": "haproxy"},
        "gateway": {"hosts": ["b.example.com"], "parentRefs": [PARENT], "tls": False, "requestTimeoutSeconds": None},
    },
    {
        "gateway": {
            "hosts": ["*.example.com", "b.example.com"],
            "parentRefs": [PARENT],
            "redirectFrom": [{**PARENT, "sectionName": "http"}],
            "requestTimeoutSeconds": 60,
        }
    },
]

Config = dict[str, Any]


# What may stand in a stack file


def some(**entries: st.SearchStrategy[Any]) -> st.SearchStrategy[Config]:
    """Some of these keys."""
    return st.fixed_dictionaries({}, optional=entries)


subdomains = st.sampled_from(["a", "team-1", "some.longer.name", "0", "x" * 63])
references = st.fixed_dictionaries({"name": subdomains, "key": st.sampled_from(["url", "a.b-c_D", "0"])})
amounts = st.sampled_from(
    [
        {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": 2, "memory": "3Gi"}},
        {"requests": {"cpu": None, "memory": None, "ephemeralStorage": None}},
        {"limits": {"cpu": None, "memory": None, "ephemeralStorage": None}},
        {"requests": {"cpu": 0.001, "ephemeralStorage": "1G"}, "limits": {"ephemeralStorage": "5Gi"}},
        {"requests": {"cpu": 4, "memory": "8Gi"}, "limits": {"cpu": 4, "memory": "8192Mi"}},
    ]
)
probe = some(periodSeconds=st.integers(1, 60), timeoutSeconds=st.integers(1, 30), failureThreshold=st.integers(1, 99))
affinities = st.lists(
    st.sampled_from(
        [
            {"key": "disk", "values": ["ssd", "nvme"]},
            {"key": "example.com/pool", "operator": "NotIn", "values": ["spot"]},
            {"key": "cores", "operator": "Gt", "values": ["8"]},
            {"key": "nvidia.com/gpu.present", "operator": "DoesNotExist"},
        ]
    ),
    max_size=2,
)
tolerations = st.lists(
    st.sampled_from(
        [
            {},
            {"key": "pool", "operator": "Equal", "value": "a", "effect": "NoSchedule"},
            {"key": "flaky", "effect": "NoExecute", "tolerationSeconds": 30},
        ]
    ),
    max_size=2,
    unique_by=str,
)
variables = st.dictionaries(st.sampled_from(["DEBUG", "_A", "NO_COLOR"]), st.sampled_from(["", "1", "ä b\n: {}"]))
images = st.sampled_from(["airis:1.2.3", "localhost:5000/a/b__c", f"airis:main@sha256:{'0' * 64}"])
secret_variables = st.dictionaries(st.sampled_from(["API_KEY", "HF_TOKEN"]), references)

workload = some(
    image=images,
    imagePullPolicy=st.sampled_from(["Always", "IfNotPresent", "Never"]),
    resources=amounts,
    env=variables,
    secretEnv=secret_variables,
    probes=some(startup=probe, readiness=probe, liveness=probe),
    priorityClass=subdomains,
    nodeAffinity=affinities,
    tolerations=tolerations,
)
storage = some(
    size=st.sampled_from(["1", "512Mi", "2.5Gi", "3T"]),
    storageClass=subdomains,
    accessMode=st.sampled_from(["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]),
)
gpus = st.one_of(
    st.none(),
    some(
        count=st.integers(1, 8),
        resourceName=st.sampled_from(["nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "amd.com/gpu"]),
        nodeLabels=st.sampled_from([{}, {"pool": "gpu", "example.com/a": ""}]),
        taint=st.sampled_from([None, "gpu"]),
    ),
)


@st.composite
def webuis(draw: st.DrawFn, secrets: Config) -> Config:
    """A WebUI with all that its number of pods needs; what it keeps in the stack's own Secret goes into `secrets`."""

    def credential(name: str, secret: str, value: str) -> Config:
        if draw(st.booleans()):
            return {name: draw(references)}
        secrets[secret] = value
        return {}

    config = draw(workload) | draw(
        some(
            service=st.sampled_from(
                [{}, {"type": "NodePort", "nodePort": 30080}, {"type": "LoadBalancer"}, {"type": "NodePort"}]
            ),
            enablePersistentConfig=st.booleans(),
        )
    )
    backing = draw(st.sampled_from(["volume", "database", "shared volume", "object storage"]))
    event(backing)
    config["storage"] = draw(storage)
    if backing != "object storage" and draw(st.booleans()):
        config["storage"]["existingClaim"] = draw(subdomains)
    config |= credential("sessionKeyFrom", "sessionKey", f"{MARKER}{'k' * 32}")
    if backing != "volume":
        config["database"] = credential("urlFrom", "databaseUrl", f"postgresql://a:{MARKER}db@db/c")
    if backing == "database" and draw(st.booleans()):
        config["vectorStore"] = "pgvector"
    if backing in ("shared volume", "object storage"):
        config["vectorStore"] = "pgvector"
        config["redis"] = credential("urlFrom", "redisUrl", f"redis://:{MARKER}redis@redis:6379")
        config["rollingUpdates"] = draw(st.booleans())
    if backing == "shared volume":
        config["storage"]["accessMode"] = "ReadWriteMany"
    if backing == "object storage":
        config["objectStorage"] = {
            "bucket": "uploads",
            **draw(some(region=st.just("eu-west-1"), endpoint=st.just("https://s3.example.com"))),
            **credential("accessKeyIdFrom", "s3AccessKeyId", f"{MARKER}id"),
            **credential("secretAccessKeyFrom", "s3SecretAccessKey", f"{MARKER}secret"),
        }
    config["replicas"] = draw(st.integers(0, 3 if "rollingUpdates" in config else 1))
    return config


@st.composite
def ollamas(draw: st.DrawFn) -> Config:
    config = draw(workload) | {"gpu": draw(gpus), "replicas": draw(st.integers(0, 3)), "storage": draw(storage)}
    if config["replicas"] < 2 and draw(st.booleans()):
        config["storage"]["existingClaim"] = draw(subdomains)
    return config


@st.composite
def stacks(draw: st.DrawFn) -> Config:
    secrets: Config = {}
    return {
        "namespace": draw(st.sampled_from(NAMESPACES)),
        "podSecurity": draw(st.sampled_from(["restricted", "baseline", "privileged"])),
        "clusterDomain": draw(st.sampled_from(["cluster.local", "example.internal"])),
        "imagePullSecrets": draw(st.lists(subdomains, max_size=2, unique=True)),
        "webui": draw(webuis(secrets)),
        "ollama": draw(ollamas()),
        **draw(st.sampled_from(WAYS_IN)),
        "network": draw(
            some(
                policies=st.booleans(),
                ingressNamespaces=st.lists(st.sampled_from(["edge", "istio-system"]), max_size=2, unique=True),
                webuiFrom=st.lists(st.sampled_from(["10.0.0.0/8", "2001:db8::/32"]), max_size=2, unique=True),
                restrictEgress=st.booleans(),
                egressTo=st.lists(st.sampled_from(["192.0.2.1/32", "::/0"]), max_size=2, unique=True),
            )
        ),
        "secrets": secrets,
    }


def declared(config: Config) -> set[str]:
    """What the settings say exists already, and is not of the stack."""
    found = {f"Secret/{name}" for name in config["imagePullSecrets"]}
    found |= {f"PersistentVolumeClaim/{name}" for name in values(config, "existingClaim")}
    for reference in ("urlFrom", "sessionKeyFrom", "accessKeyIdFrom", "secretAccessKeyFrom"):
        found |= {f"Secret/{each['name']}" for each in values(config, reference)}
    for each in values(config, "secretEnv"):
        found |= {f"Secret/{inner['name']}" for inner in each.values()}
    return found


# What must hold for whatever they become


def faults(drawn: Rendering, existing: set[str]) -> list[str]:
    """What does not fit together in a stack; `existing` is what it may refer to beside its own objects."""
    return [*wrong_objects(drawn, existing), *wrong_links(drawn), *wrong_pods(drawn)]


def wrong_objects(drawn: Rendering, existing: set[str]) -> Iterator[str]:
    identities = [(each.manifest["apiVersion"], each.kind, each.namespace, each.name) for each in drawn.objects]
    if len(set(identities)) < len(identities) or len({each.urn for each in drawn.objects}) < len(identities):
        yield "two objects have one name"
    if set(missing(drawn)) != existing:
        yield f"references lead nowhere, or not where they should: {set(missing(drawn)) ^ existing}"
    for each in drawn.objects:
        if each.kind != "Secret" and MARKER in revealed(each.manifest):
            yield f"{each}: a secret in plain sight"
        if (each.protect, each.retain) != (each.kind in ("PersistentVolumeClaim", "Namespace"),) * 2:
            yield f"{each}: data is not protected, or what is no data is"
    if MARKER in to_yaml(drawn.objects) + revealed(drawn.exports):
        yield "a secret is printed"


def wrong_links(drawn: Rendering) -> Iterator[str]:
    pods = {body["metadata"]["name"]: body["spec"]["template"]["metadata"]["labels"] for body in workloads(drawn)}
    opened = {body["metadata"]["name"]: container(body)["ports"] for body in workloads(drawn)}
    for each in drawn.objects:
        by = selector(each.manifest)
        selected = [name for name, labels in pods.items() if by and by.items() <= labels.items()]
        if by and len(selected) != 1:
            yield f"{each} selects {selected}"
        elif each.kind == "Service" and not ports(each) <= {port["containerPort"] for port in opened[selected[0]]}:
            yield f"{each} leads to a port that nobody opens"
        if each.kind == "NetworkPolicy":
            spec = each.manifest["spec"]
            dns = [rule for rule in spec.get("egress", []) if {port["port"] for port in rule.get("ports", [])} == {53}]
            closed = [rule.get("from") for rule in spec.get("ingress", [])]
            closed += [rule.get("to") for rule in spec.get("egress", []) if rule not in dns]
            if not all(closed):
                yield f"{each} is open to everybody"


def wrong_pods(drawn: Rendering) -> Iterator[str]:
    for body in workloads(drawn):
        volumes = [each["name"] for each in pod_spec(body).get("volumes", [])]
        volumes += [each["metadata"]["name"] for each in body["spec"].get("volumeClaimTemplates", [])]
        if sorted(volumes) != sorted(each["name"] for each in container(body)["volumeMounts"]):
            yield f"{body['metadata']['name']}: volumes and mounts do not match"
        variables = [each["name"] for each in container(body)["env"]]
        if len(set(variables)) < len(variables):
            yield f"{body['metadata']['name']}: a variable stands twice"


def selector(body: Mapping[str, Any]) -> Mapping[str, str]:
    """By which labels an object selects pods, if it does."""
    spec = body.get("spec", {})
    by = spec.get("selector", spec.get("podSelector", {}))
    return dict(by.get("matchLabels", by))


def ports(service: KubernetesObject) -> set[int]:
    return {port["targetPort"] for port in service.manifest["spec"]["ports"]}


@pytest.fixture(scope="module")
def cluster(sandbox: Sandbox) -> Sandbox:
    """The sandbox with the namespaces that a dry run needs."""
    sandbox.up()
    clean(sandbox.kubectl)
    sandbox.kubectl.apply(
        [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
    )
    define(definitions_for([{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}]), sandbox.kubectl)
    return sandbox


@settings(max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(config=stacks())
def test_what_validates_is_admitted_and_fits_together(config: Config, cluster: Sandbox) -> None:
    drawn = draw(**config)

    assert faults(drawn, declared(config)) == []
    cluster.kubectl.apply([manifest(each) for each in in_order(drawn.objects)], dry_run=True)


def test_a_dry_run_is_a_real_look(cluster: Sandbox) -> None:
    """It refuses what a run would refuse, and leaves nothing behind."""
    objects = [manifest(each) for each in in_order(draw().objects)]
    cluster.kubectl.apply(objects, dry_run=True)
    assert (
        cluster.kubectl.get("deployments,statefulsets,services,persistentvolumeclaims,secrets", "--namespace=airis")
        == []
    )
    broken = copy.deepcopy(objects)
    (deployment,) = [each for each in broken if each["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]["name"] = "nothing"
    with pytest.raises(Exception, match="Not found"):
        cluster.kubectl.apply(broken, dry_run=True)


def change(kind: str, path: str, value: object) -> Callable[[list[Any]], None]:
    """Sets what stands at the path in the first object of that kind."""

    def apply(objects: list[Any]) -> None:
        at = next(each for each in objects if each["kind"] == kind)
        *parents, last = path.split("/")
        for part in parents:
            at = at[int(part)] if part.isdecimal() else at[part]
        at[last] = value

    return apply


CONTAINER = "spec/template/spec/containers/0"


@pytest.mark.parametrize(
    ("sabotage", "noticed"),
    [
        (lambda objects: objects.append(copy.deepcopy(objects[-1])), "one name"),
        (change("Deployment", "spec/template/spec/serviceAccountName", "nobody"), "ServiceAccount/nobody"),
        (change("StatefulSet", "spec/serviceName", "nothing"), "Service/nothing"),
        (change("Deployment", "spec/template/metadata/labels", {"app": "other"}), "selects []"),
        (change("Service", "spec/selector", {"app.kubernetes.io/part-of": "airis"}), "selects ["),
        (change("Service", "spec/ports", [{"targetPort": 1}]), "nobody opens"),
        (change("Deployment", f"{CONTAINER}/volumeMounts", []), "do not match"),
        (change("Deployment", f"{CONTAINER}/env", [{"name": "A"}, {"name": "A"}]), "stands twice"),
        (change("Deployment", f"{CONTAINER}/args", [f"{MARKER}x"]), "plain sight"),
        (change("NetworkPolicy", "spec/ingress", [{"ports": [{"port": 8080}]}]), "open to everybody"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_noticed(sabotage: Callable[[list[Any]], None], noticed: str) -> None:
    drawn = draw()
    assert faults(drawn, set()) == []
    bodies = [copy.deepcopy(dict(each.manifest)) for each in drawn.objects]
    sabotage(bodies)
    again = [*drawn.objects, drawn.objects[-1]]
    objects = tuple(
        KubernetesObject(body, each.urn, each.protect, each.retain) for body, each in zip(bodies, again, strict=False)
    )
    assert noticed in "; ".join(faults(Rendering(objects, drawn.exports), set()))


@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "Service"])
def test_wrong_protection_is_noticed(kind: str) -> None:
    drawn = draw()
    objects = tuple(
        KubernetesObject(each.manifest, each.urn, not each.protect, each.retain or each.kind == kind)
        if each.kind == kind
        else each
        for each in drawn.objects
    )
    assert "no data is" in "; ".join(faults(Rendering(objects, drawn.exports), set()))


def test_an_undeclared_reference_is_noticed() -> None:
    config: Config = {"webui": {"sessionKeyFrom": {"name": "mine", "key": "key"}}, "imagePullSecrets": []}
    assert declared(config) == {"Secret/mine"}
    assert faults(draw(**config), declared(config)) == []
    assert "Secret/mine" in "; ".join(faults(draw(**config), set()))
