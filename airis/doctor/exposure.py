"""Checks of the IngressClass, the ingress controller, and the Gateway."""

from collections.abc import Mapping, Sequence

from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import condition
from airis.doctor.checks import (
    Group,
    Outcome,
    Outcomes,
    Scope,
    check,
    listed,
    not_checked,
    ok,
    problem,
    warning,
)
from airis.doctor.observation import Observation, is_default, name_of, named
from airis.doctor.scheduling import living
from settings.exposure.controllers import Controller
from settings.exposure.gateway import ParentRefSettings

_WAY_IN = (Group.EXPOSURE, Scope.STACK)
_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
_CONTROLLERS: dict[str, tuple[Controller | None, tuple[str, ...]]] = {
    "k8s.io/ingress-nginx": ("nginx", ("ingress-nginx/controller", "ingress-nginx")),
    "traefik.io/ingress-controller": ("traefik", ("traefik",)),
    "haproxy.org/ingress-controller": ("haproxy", ("haproxytech/kubernetes-ingress",)),
    "nginx.org/ingress-controller": (None, ("nginx/nginx-ingress", "nginx-ingress")),
    "ingress.k8s.aws/alb": (None, ("aws-load-balancer-controller",)),
    "projectcontour.io": (None, ("projectcontour/contour",)),
    "istio.io/ingress-controller": (None, ("istio/pilot",)),
}
"""By `spec.controller` of an IngressClass, or its prefix: airis' name for the controller, and parts of its image names."""
GATEWAYS = "gateways.gateway.networking.k8s.io"
"""The resource, with its group."""


def _class(seen: Observation) -> KubeObject | None:
    wanted = seen.stack.settings.ingress.class_name
    classes = seen.all("ingressclasses.networking.k8s.io")
    if wanted is not None:
        return named(classes, wanted)
    return next((each for each in classes if is_default(each, _DEFAULT)), None)


def _known(found: KubeObject) -> tuple[Controller | None, tuple[str, ...]]:
    controller = str(found["spec"]["controller"])
    return next((value for name, value in _CONTROLLERS.items() if controller.startswith(name)), (None, ()))


def _controller_pods(seen: Observation, words: Sequence[str]) -> list[KubeObject]:
    return [
        pod
        for pod in living(seen.all("pods"))
        if any(word in str(each.get("image", "")) for each in pod["spec"]["containers"] for word in words)
        or (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/name") in words
    ]


@check(
    "ingress-class",
    *_WAY_IN,
    "Does the IngressClass exist, or a default one if the stack names none?",
    why="Controllers silently ignore an Ingress with an unknown class: the host returns 404, or does not respond.",
    remedy="set airis:ingress.className to one of `kubectl get ingressclasses`, or install an ingress controller "
    "(`minikube addons enable ingress`)",
)
def ingress_class(seen: Observation) -> Outcomes:
    """Checks the class, and whether the annotation preset matches its controller."""
    settings = seen.stack.settings.ingress
    if settings.host is None:
        return
    found, others = _class(seen), listed(map(name_of, seen.all("ingressclasses.networking.k8s.io"))) or "none"
    if found is None:
        missing = f"no IngressClass {settings.class_name}" if settings.class_name else "no default IngressClass"
        yield problem(f"there is {missing}; there are: {others}")
        return
    yield ok(f"IngressClass {name_of(found)} ({found['spec']['controller']})")
    theirs, _ = _known(found)
    if settings.controller not in (None, "none", theirs) and theirs is not None:
        yield warning(
            f"airis:ingress.controller is {settings.controller}, but the class belongs to {theirs}: annotations are ignored",
            f"airis:ingress.controller: {theirs}",
        )


@check(
    "ingress-controller",
    *_WAY_IN,
    "Does the controller of that class run, and does the NetworkPolicy admit it?",
    why="Without its controller, an IngressClass serves nothing. The NetworkPolicy admits only the namespaces that it lists.",
    remedy="install the controller, or add its namespace to airis:network.ingressNamespaces",
)
def ingress_controller(seen: Observation) -> Outcomes:
    """Finds pods with the controller's image or label, and compares their namespace with the NetworkPolicy."""
    if seen.stack.settings.ingress.host is None or (found := _class(seen)) is None:
        return
    controller = found["spec"]["controller"]
    _, words = _known(found)
    if not words:
        yield not_checked(
            f"{controller}: airis does not know how to find this controller's pods; a cloud's controller may run none"
        )
        return
    pods = _controller_pods(seen, words)
    running = [each for each in pods if condition(each, "Ready").get("status") == "True"]
    if not running:
        yield problem(
            f"no pod of {controller} is ready: {listed(map(name_of, pods))}"
            if pods
            else f"no pod of {controller} was found"
        )
        return
    yield ok(f"{controller} runs: {listed(map(name_of, running))}")
    yield from _admitted(seen, sorted({str(each["metadata"]["namespace"]) for each in running}))


def _admitted(seen: Observation, namespaces: Sequence[str]) -> Outcomes:
    network = seen.stack.settings.network
    if network.policies and not set(namespaces) & set(network.ingress_namespaces):
        yield problem(
            f"the controller runs in {listed(namespaces)}, and the stack's NetworkPolicy admits "
            f"{listed(network.ingress_namespaces) or 'no namespace'}",
            f"airis:network.ingressNamespaces: [{namespaces[0]}]",
        )


@check(
    "gateway",
    *_WAY_IN,
    "Do the Gateways that the stack attaches to exist, are they programmed, and do they allow its routes?",
    why="The API server accepts an HTTPRoute whose Gateway is missing or does not allow the namespace, but no traffic arrives.",
    remedy="in airis:gateway.parentRefs, name a Gateway with a listener that allows the stack's namespace (allowedRoutes)",
)
def gateway(seen: Observation) -> Outcomes:
    """Checks the CRDs, the Gateways, and their listeners."""
    settings = seen.stack.settings.gateway
    if settings is None:
        return
    if not seen.cluster.groups.get("gateway.networking.k8s.io"):
        yield problem(
            "the CRDs of the Gateway API are not installed", "install the Gateway API and a controller for it"
        )
        return
    there = seen.all(GATEWAYS)
    for parent in (*settings.parent_refs, *settings.redirect_from):
        yield _gateway(seen, parent, there)


def _gateway(seen: Observation, parent: ParentRefSettings, there: Sequence[KubeObject]) -> Outcome:
    mine = seen.stack.namespace
    namespace = parent.namespace or mine
    body = named(seen.cluster.objects.get("namespaces", ()), mine)
    labels = None if body is None else body["metadata"].get("labels") or {}
    words = gateway_trouble(
        there, namespace, parent.name, section=parent.section_name, port=parent.port, mine=mine, labels=labels
    )
    return problem(words) if words else ok(f"Gateway {namespace}/{parent.name} is programmed")


def gateway_trouble(
    there: Sequence[KubeObject],
    namespace: str,
    name: str,
    *,
    section: str | None,
    port: int | None,
    mine: str,
    labels: Mapping[str, str] | None,
) -> str:
    """Why a Gateway does not allow routes from namespace `mine`; empty if it does.

    `there` are the cluster's Gateways; `section` and `port` select a listener; `labels` are those of `mine`, None if they are
    not known.
    """
    found = named([each for each in there if each["metadata"]["namespace"] == namespace], name)
    words = f"Gateway {namespace}/{name}"
    if found is None:
        known = listed(f"{each['metadata']['namespace']}/{name_of(each)}" for each in there)
        return f"{words} does not exist; there are: {known or 'none'}"
    listeners = [
        each
        for each in found["spec"].get("listeners") or []
        if section in (None, each["name"]) and port in (None, each["port"])
    ]
    if not listeners:
        return f"{words} has no listener {section or port}"
    if not any(_allows(each, namespace, mine, labels) for each in listeners):
        return f"{words} does not allow routes from namespace {mine}"
    programmed = condition(found, "Programmed")
    if programmed.get("status") != "True":
        return f"{words} is not programmed: {programmed.get('message') or 'no controller has reported a status'}"
    return ""


def _allows(listener: KubeObject, namespace: str, mine: str, labels: Mapping[str, str] | None) -> bool:
    allowed = (listener.get("allowedRoutes") or {}).get("namespaces") or {}
    match allowed.get("from", "Same"):
        case "All":
            return True
        case "Selector":
            wanted = (allowed.get("selector") or {}).get("matchLabels") or {}
            return bool(labels is None or wanted.items() <= labels.items())
    return namespace == mine
