"""Checks of the way in: Ingress class and controller, Gateway."""

from collections.abc import Sequence

from airis.doctor.look import Look, condition, is_default, name_of, named
from airis.doctor.model import (
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
from airis.doctor.scheduling import living
from airis.kubectl import KubeObject
from settings.controllers import Controller
from settings.gateway import ParentRefSettings

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
"""What an IngressClass calls its controller (or begins with): airis' name of it, and words in the images of its pods."""
GATEWAYS = "gateways.gateway.networking.k8s.io"
"""The resource, with its group."""


def _class(look: Look) -> KubeObject | None:
    wanted = look.stack.settings.ingress.class_name
    classes = look.all("ingressclasses.networking.k8s.io")
    if wanted is not None:
        return named(classes, wanted)
    return next((each for each in classes if is_default(each, _DEFAULT)), None)


def _known(found: KubeObject) -> tuple[Controller | None, tuple[str, ...]]:
    controller = str(found["spec"]["controller"])
    return next((value for name, value in _CONTROLLERS.items() if controller.startswith(name)), (None, ()))


def _controller_pods(look: Look, words: Sequence[str]) -> list[KubeObject]:
    return [
        pod
        for pod in living(look.all("pods"))
        if any(word in str(each.get("image", "")) for each in pod["spec"]["containers"] for word in words)
        or (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/name") in words
    ]


@check(
    "ingress-class",
    *_WAY_IN,
    "Does the IngressClass exist; or a default one, if the stack names none?",
    why="An Ingress whose class nobody knows is ignored without a word: the host answers 404, or nobody does.",
    remedy="`kubectl get ingressclasses` shows what there is: set airis:ingress.className, or install an ingress controller "
    "(`minikube addons enable ingress`)",
)
def ingress_class(look: Look) -> Outcomes:
    """The class, and whether the preset of annotations is for its controller."""
    settings = look.stack.settings.ingress
    if settings.host is None:
        return
    found, others = _class(look), listed(map(name_of, look.all("ingressclasses.networking.k8s.io"))) or "none"
    if found is None:
        missing = f"no IngressClass {settings.class_name}" if settings.class_name else "no default IngressClass"
        yield problem(f"there is {missing}; there are: {others}")
        return
    yield ok(f"IngressClass {name_of(found)} ({found['spec']['controller']})")
    theirs, _ = _known(found)
    if settings.controller not in (None, "none", theirs) and theirs is not None:
        yield warning(
            f"airis:ingress.controller is {settings.controller}, and the class is of {theirs}: its annotations have no effect",
            f"airis:ingress.controller: {theirs}",
        )


@check(
    "ingress-controller",
    *_WAY_IN,
    "Does the controller of that class run, and may it reach the WebUI?",
    why="A class is only a name: without its controller nobody answers. And the NetworkPolicy lets in the namespaces it knows.",
    remedy="install the controller, or name its namespace in airis:network.ingressNamespaces",
)
def ingress_controller(look: Look) -> Outcomes:
    """Pods with the controller's image or label; their namespace against the NetworkPolicy."""
    if look.stack.settings.ingress.host is None or (found := _class(look)) is None:
        return
    controller = found["spec"]["controller"]
    _, words = _known(found)
    if not words:
        yield not_checked(
            f"how the pods of {controller} are called is not known here; a cloud's own controller has none"
        )
        return
    pods = _controller_pods(look, words)
    running = [each for each in pods if condition(each, "Ready").get("status") == "True"]
    if not running:
        yield problem(
            f"no pod of {controller} is ready: {listed(map(name_of, pods))}"
            if pods
            else f"no pod of {controller} was found"
        )
        return
    yield ok(f"{controller} runs: {listed(map(name_of, running))}")
    yield from _admitted(look, sorted({str(each["metadata"]["namespace"]) for each in running}))


def _admitted(look: Look, namespaces: Sequence[str]) -> Outcomes:
    network = look.stack.settings.network
    if network.policies and not set(namespaces) & set(network.ingress_namespaces):
        yield problem(
            f"the controller runs in {listed(namespaces)}, and the stack's NetworkPolicy lets in "
            f"{listed(network.ingress_namespaces) or 'nobody'}",
            f"airis:network.ingressNamespaces: [{namespaces[0]}]",
        )


@check(
    "gateway",
    *_WAY_IN,
    "Do the Gateways exist that the stack attaches to, are they programmed, and do they take its routes?",
    why="An HTTPRoute whose Gateway does not exist, or does not admit the namespace, is accepted and leads nowhere.",
    remedy="airis:gateway.parentRefs must name a Gateway with a listener that allows the stack's namespace (allowedRoutes)",
)
def gateway(look: Look) -> Outcomes:
    """Definitions, Gateways, their listeners."""
    settings = look.stack.settings.gateway
    if settings is None:
        return
    if not look.cluster.groups.get("gateway.networking.k8s.io"):
        yield problem(
            "the definitions of the Gateway API are not installed", "install the Gateway API and a controller for it"
        )
        return
    there = look.all(GATEWAYS)
    for parent in (*settings.parent_refs, *settings.redirect_from):
        yield _gateway(look, parent, there)


def _gateway(look: Look, parent: ParentRefSettings, there: Sequence[KubeObject]) -> Outcome:
    namespace = parent.namespace or look.stack.namespace
    found = named([each for each in there if each["metadata"]["namespace"] == namespace], parent.name)
    words = f"Gateway {namespace}/{parent.name}"
    if found is None:
        known = listed(f"{each['metadata']['namespace']}/{name_of(each)}" for each in there)
        return problem(f"{words} does not exist; there are: {known or 'none'}")
    listeners = [
        each
        for each in found["spec"].get("listeners") or []
        if parent.section_name in (None, each["name"]) and parent.port in (None, each["port"])
    ]
    if not listeners:
        return problem(f"{words} has no listener {parent.section_name or parent.port}")
    if not any(_allows(look, each, namespace) for each in listeners):
        return problem(f"{words} takes no routes from namespace {look.stack.namespace}")
    if condition(found, "Programmed").get("status") != "True":
        return problem(
            f"{words} is not programmed: {condition(found, 'Programmed').get('message') or 'no controller answers for it'}"
        )
    return ok(f"{words} is programmed")


def _allows(look: Look, listener: KubeObject, namespace: str) -> bool:
    allowed = (listener.get("allowedRoutes") or {}).get("namespaces") or {}
    match allowed.get("from", "Same"):
        case "All":
            return True
        case "Selector":
            body = named(look.cluster.objects.get("namespaces", ()), look.stack.namespace)
            labels = ((body or {}).get("metadata") or {}).get("labels") or {}
            wanted = (allowed.get("selector") or {}).get("matchLabels") or {}
            return bool(body is None or wanted.items() <= labels.items())
    return namespace == look.stack.namespace
