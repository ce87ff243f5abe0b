"""Ingress, HTTPRoute, Service and Open WebUI's variables for its public URL, and invalid settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from airis.cluster.kubectl import Kubectl, KubectlError, KubeObject
from airis.rehearse.rehearsal import define
from airis.rehearse.sandbox import definitions_for
from airis.render.manifest import in_order
from airis.render.manifest import manifest as plain
from components.exposure import EXPOSURE_VARIABLES, Exposure
from settings import load
from settings.exposure.controllers import Visits, preset
from settings.exposure.gateway import GatewaySettings
from settings.exposure.ingress import IngressSettings
from settings.webui.webui import WebUISettings
from tests.unit.conftest import Refuse
from tests.unit.drawing import committed, draw_once, env, find, manifest, names, stack_of
from tests.unit.test_settings_refusals import HOST as HOST_ALLOWED
from tests.unit.test_settings_refusals import Refusal

pytestmark = pytest.mark.timeout(60)

HOST = "chat.example.com"
REFERENCE = {"name": "credentials", "key": "url"}
SEVERAL: dict[str, Any] = {
    "replicas": 2,
    "database": {"urlFrom": REFERENCE},
    "redis": {"urlFrom": REFERENCE},
    "objectStorage": {"bucket": "uploads", "accessKeyIdFrom": REFERENCE, "secretAccessKeyFrom": REFERENCE},
    "vectorStore": "pgvector",
}
NGINX = "nginx.ingress.kubernetes.io"
TRAEFIK = "traefik.ingress.kubernetes.io"
COOKIE = f"{TRAEFIK}/service.sticky.cookie"
SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
STREAMS = {
    f"{NGINX}/proxy-body-size": "100m",
    f"{NGINX}/proxy-read-timeout": "1800",
    f"{NGINX}/proxy-send-timeout": "1800",
    f"{NGINX}/proxy-buffering": "off",
    f"{NGINX}/proxy-request-buffering": "off",
}
AFFINITY = {
    f"{NGINX}/affinity": "cookie",
    f"{NGINX}/affinity-mode": "persistent",
    f"{NGINX}/session-cookie-name": "airis-pod",
    f"{NGINX}/session-cookie-samesite": "Lax",
    f"{NGINX}/session-cookie-change-on-failure": "true",
}
STICKY = {COOKIE: "true", f"{COOKIE}.name": "airis-pod", f"{COOKIE}.httponly": "true", f"{COOKIE}.samesite": "lax"}
TIMEOUT = {"haproxy.org/timeout-server": "1800s"}
TLS: dict[str, Any] = {"secretName": "certificate"}
GATEWAY: dict[str, Any] = {"hosts": [HOST], "parentRefs": [{"name": "public", "namespace": "infra"}]}


def annotations(kind: str, name: str, **settings: object) -> dict[str, str]:
    """Annotations without Pulumi's."""
    given = dict(manifest(draw_once(**settings), kind, name)["metadata"].get("annotations", {}))
    return {key: value for key, value in given.items() if key not in SKIP_AWAIT}


def told(**settings: object) -> dict[str, str]:
    """Open WebUI's variables for its public URL."""
    given = env(manifest(draw_once(**settings), "Deployment", "airis-deployment"))
    return {name: value for name, value in given.items() if name in EXPOSURE_VARIABLES}


def ingress_spec(**settings: object) -> Any:
    return manifest(draw_once(ingress={"host": HOST, **settings}), "Ingress", "airis-ingress")["spec"]


# The Ingress


def test_controller_none_sets_no_annotations() -> None:
    drawn = draw_once(ingress={"host": HOST, "controller": "none"}, webui=SEVERAL)
    body = manifest(drawn, "Ingress", "airis-ingress")
    assert body["metadata"]["annotations"] == SKIP_AWAIT
    assert body["spec"].keys() == {"rules"}
    assert manifest(drawn, "Service", "airis-service")["metadata"]["annotations"] == SKIP_AWAIT


@pytest.mark.parametrize("stack", ["cpu", "gpu"])
def test_the_committed_stacks_set_upload_size_and_timeout_for_every_controller(stack: str) -> None:
    drawn = committed(stack)
    of_ingress = manifest(drawn, "Ingress", "airis-ingress")["metadata"]["annotations"]
    assert of_ingress == {**STREAMS, **SKIP_AWAIT}
    assert manifest(drawn, "Service", "airis-service")["metadata"]["annotations"] == {**TIMEOUT, **SKIP_AWAIT}


def test_without_an_ingress_the_service_has_no_controller_annotations() -> None:
    assert annotations("Service", "airis-service") == {}
    assert annotations("Service", "airis-service", gateway=GATEWAY) == {}


def test_annotations_of_controllers_are_disjoint_and_traefik_keeps_plain_http() -> None:
    ingress = {"host": HOST, "tls": TLS}
    found = [
        *annotations("Ingress", "airis-ingress", ingress=ingress, webui=SEVERAL),
        *annotations("Service", "airis-service", ingress=ingress, webui=SEVERAL),
    ]
    assert {each.partition("/")[0] for each in found} == {NGINX, TRAEFIK, "haproxy.org"}
    assert f"{TRAEFIK}/router.tls" not in found


def test_annotations_of_the_stack_take_precedence_over_the_defaults() -> None:
    own = {f"{NGINX}/proxy-body-size": "1g", "example.com/owner": "search"}
    ingress = {"host": HOST, "annotations": own, "timeoutSeconds": 60}
    found = annotations("Ingress", "airis-ingress", ingress=ingress)
    assert found == {**STREAMS, f"{NGINX}/proxy-read-timeout": "60", f"{NGINX}/proxy-send-timeout": "60", **own}
    service = {"service": {"annotations": {"haproxy.org/timeout-server": "1h"}}}
    assert annotations("Service", "airis-service", ingress=ingress, webui=service) == {
        "haproxy.org/timeout-server": "1h"
    }


def test_every_host_leads_to_the_same_service() -> None:
    rules = ingress_spec(hosts=["AI.example.com.", "*.example.org"])["rules"]
    assert [rule["host"] for rule in rules] == [HOST, "ai.example.com", "*.example.org"]
    (paths,) = {str(rule["http"]) for rule in rules}
    assert rules[0]["http"]["paths"] == [
        {
            "path": "/",
            "pathType": "Prefix",
            "backend": {"service": {"name": "airis-service", "port": {"number": 8080}}},
        }
    ], paths


@pytest.mark.parametrize(
    ("tls", "secret", "issuer"),
    [
        ({"secretName": "certificate"}, "certificate", {}),
        ({"clusterIssuer": "letsencrypt"}, "airis-ingress-tls", {"cert-manager.io/cluster-issuer": "letsencrypt"}),
        ({"issuer": "own", "secretName": "mine"}, "mine", {"cert-manager.io/issuer": "own"}),
    ],
)
def test_the_certificate_is_for_all_hosts(tls: dict[str, str], secret: str, issuer: dict[str, str]) -> None:
    settings = {"tls": tls, "hosts": ["ai.example.com"], "controller": "none"}
    assert ingress_spec(**settings)["tls"] == [{"hosts": [HOST, "ai.example.com"], "secretName": secret}]
    assert annotations("Ingress", "airis-ingress", ingress={"host": HOST, **settings}) == issuer


def test_annotations_are_added_to_the_preset() -> None:
    own = {"example.com/owner": "search", f"{NGINX}/limit-rps": "10"}
    found = annotations("Ingress", "airis-ingress", ingress={"host": HOST, "annotations": own, "controller": "nginx"})
    assert found == {**STREAMS, **own}


PRESETS: list[tuple[str, dict[str, Any], dict[str, str], dict[str, str]]] = [
    ("nginx", {}, STREAMS, {}),
    ("nginx", {"tls": TLS}, {**STREAMS, f"{NGINX}/ssl-redirect": "true"}, {}),
    ("nginx", {"tls": {**TLS, "redirect": False}}, {**STREAMS, f"{NGINX}/ssl-redirect": "false"}, {}),
    (
        "nginx",
        {"maxBodySize": "2Gi", "timeoutSeconds": 3600},
        {
            **STREAMS,
            f"{NGINX}/proxy-body-size": "2g",
            f"{NGINX}/proxy-read-timeout": "3600",
            f"{NGINX}/proxy-send-timeout": "3600",
        },
        {},
    ),
    ("traefik", {}, {}, {}),
    ("traefik", {"tls": TLS}, {f"{TRAEFIK}/router.tls": "true"}, {}),
    ("haproxy", {}, {}, TIMEOUT),
    ("haproxy", {"timeoutSeconds": 60}, {}, {"haproxy.org/timeout-server": "60s"}),
    ("haproxy", {"tls": TLS}, {"haproxy.org/ssl-redirect": "true", "haproxy.org/ssl-redirect-port": "443"}, TIMEOUT),
    ("haproxy", {"tls": {**TLS, "redirect": False}}, {"haproxy.org/ssl-redirect": "false"}, TIMEOUT),
]


@pytest.mark.parametrize(("controller", "settings", "of_ingress", "of_service"), PRESETS)
def test_presets_for_one_pod_set_no_cookie(
    controller: str, settings: dict[str, Any], of_ingress: dict[str, str], of_service: dict[str, str]
) -> None:
    ingress = {"host": HOST, "controller": controller, **settings}
    assert annotations("Ingress", "airis-ingress", ingress=ingress) == of_ingress
    assert annotations("Service", "airis-service", ingress=ingress) == of_service


@pytest.mark.parametrize(
    ("controller", "tls", "of_ingress", "of_service"),
    [
        ("nginx", None, {**STREAMS, **AFFINITY}, {}),
        (
            "nginx",
            TLS,
            {**STREAMS, **AFFINITY, f"{NGINX}/ssl-redirect": "true", f"{NGINX}/session-cookie-secure": "true"},
            {},
        ),
        ("traefik", None, {}, STICKY),
        ("traefik", TLS, {f"{TRAEFIK}/router.tls": "true"}, {**STICKY, f"{COOKIE}.secure": "true"}),
        ("haproxy", None, {}, {**TIMEOUT, "haproxy.org/cookie-persistence": "airis-pod"}),
        ("none", None, {}, {}),
        (None, None, {**STREAMS, **AFFINITY}, {**STICKY, **TIMEOUT, "haproxy.org/cookie-persistence": "airis-pod"}),
        (
            None,
            TLS,
            {
                **STREAMS,
                **AFFINITY,
                f"{NGINX}/session-cookie-secure": "true",
                f"{NGINX}/ssl-redirect": "true",
                "haproxy.org/ssl-redirect": "true",
                "haproxy.org/ssl-redirect-port": "443",
            },
            {**STICKY, f"{COOKIE}.secure": "true", **TIMEOUT, "haproxy.org/cookie-persistence": "airis-pod"},
        ),
    ],
)
def test_presets_for_several_pods_set_session_affinity(
    controller: str | None, tls: dict[str, str] | None, of_ingress: dict[str, str], of_service: dict[str, str]
) -> None:
    ingress = {"host": HOST, "controller": controller, "tls": tls}
    assert annotations("Ingress", "airis-ingress", ingress=ingress, webui=SEVERAL) == of_ingress
    assert annotations("Service", "airis-service", ingress=ingress, webui=SEVERAL) == of_service


def test_autoscaling_counts_as_several_pods() -> None:
    ingress = {"host": HOST, "controller": "haproxy"}
    webui = {**SEVERAL, "replicas": 1, "autoscaling": {"minReplicas": 1, "maxReplicas": 3}}
    assert "haproxy.org/cookie-persistence" in annotations("Service", "airis-service", ingress=ingress, webui=webui)


def test_the_redirect_goes_to_the_port_of_the_public_url() -> None:
    ingress = {"host": HOST, "controller": "haproxy", "tls": TLS}
    found = annotations("Ingress", "airis-ingress", ingress=ingress, webui={"url": f"https://{HOST}:8443"})
    assert found["haproxy.org/ssl-redirect-port"] == "8443"


@pytest.mark.parametrize(
    ("size", "written"),
    [("100Mi", "100m"), ("1Gi", "1g"), ("1536Mi", "1536m"), ("1Ki", "1k"), ("100M", "100000000"), ("1500k", "1500000")],
)
def test_nginx_gets_sizes_in_its_own_units(size: str, written: str) -> None:
    found, _ = preset("nginx", Visits(several_pods=False, https=False), max_body_size=size)
    assert found[f"{NGINX}/proxy-body-size"] == written


# The HTTPRoute


def test_the_route_sets_every_default_explicitly() -> None:
    drawn = draw_once(gateway=GATEWAY)
    route = manifest(drawn, "HTTPRoute", "airis-route")
    assert (route["apiVersion"], route["metadata"]["namespace"]) == ("gateway.networking.k8s.io/v1", "airis")
    assert route["metadata"]["annotations"] == SKIP_AWAIT
    assert route["spec"] == {
        "parentRefs": [
            {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "infra"}
        ],
        "hostnames": [HOST],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"group": "", "kind": "Service", "name": "airis-service", "port": 8080, "weight": 1}],
                "timeouts": {"request": "0s"},
            }
        ],
    }
    assert names(drawn, "HTTPRoute") == ["airis-route"]
    assert names(drawn, "Ingress") == []
    assert "::airis:components:WebUI$" in find(drawn, "HTTPRoute", "airis-route").urn


def test_without_a_gateway_there_is_no_route() -> None:
    assert names(draw_once(ingress={"host": HOST}), "HTTPRoute") == []


def test_a_listener_is_named_by_section_and_port() -> None:
    parent = {"name": "inner", "sectionName": "https", "port": 8443}
    drawn = draw_once(gateway={**GATEWAY, "parentRefs": [parent], "annotations": {"example.com/owner": "search"}})
    route = manifest(drawn, "HTTPRoute", "airis-route")
    assert route["spec"]["parentRefs"] == [{"group": "gateway.networking.k8s.io", "kind": "Gateway", **parent}]
    assert route["metadata"]["annotations"]["example.com/owner"] == "search"


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({}, {"request": "0s"}),
        ({"requestTimeoutSeconds": 1800}, {"request": "1800s"}),
        (
            {"requestTimeoutSeconds": 1800, "backendRequestTimeoutSeconds": 1800},
            {"request": "1800s", "backendRequest": "1800s"},
        ),
        ({"backendRequestTimeoutSeconds": 5}, {"request": "0s", "backendRequest": "5s"}),
        ({"requestTimeoutSeconds": None, "backendRequestTimeoutSeconds": 0}, {"backendRequest": "0s"}),
        ({"requestTimeoutSeconds": None}, None),
    ],
)
def test_timeouts_of_the_route(given: dict[str, Any], written: dict[str, str] | None) -> None:
    (rule,) = manifest(draw_once(gateway={**GATEWAY, **given}), "HTTPRoute", "airis-route")["spec"]["rules"]
    assert rule.get("timeouts") == written


def test_http_is_redirected_by_a_second_route() -> None:
    http = {"name": "public", "namespace": "infra", "sectionName": "http"}
    https = {**http, "sectionName": "https"}
    drawn = draw_once(gateway={**GATEWAY, "parentRefs": [https], "redirectFrom": [http]})
    spec = manifest(drawn, "HTTPRoute", "airis-route-redirect")["spec"]
    (parent,) = spec["parentRefs"]
    assert parent["sectionName"] == "http"
    assert spec["hostnames"] == [HOST]
    assert spec["rules"] == [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            "filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}],
        }
    ]


def let_in(**settings: object) -> list[str]:
    """The namespaces whose pods may connect to the WebUI."""
    (rule,) = manifest(draw_once(**settings), "NetworkPolicy", "airis")["spec"]["ingress"]
    selectors = [each["namespaceSelector"] for each in rule["from"] if "namespaceSelector" in each]
    return [name for each in selectors for term in each["matchExpressions"] for name in term["values"]]


def test_the_policy_allows_the_gateways_namespace() -> None:
    usual = ["ingress-nginx", "traefik", "haproxy-controller"]
    assert let_in() == usual
    assert let_in(gateway=GATEWAY) == [*usual, "infra"]
    assert let_in(gateway={**GATEWAY, "parentRefs": [{"name": "own"}]}) == usual
    assert let_in(gateway=GATEWAY, network={"ingressNamespaces": []}) == ["infra"]
    assert let_in(gateway=GATEWAY, network={"ingressNamespaces": ["infra", "edge"]}) == ["infra", "edge"]


def test_routes_depend_on_service_and_namespace() -> None:
    kinds = [
        each.kind for each in in_order(draw_once(ingress={"host": HOST}, gateway={**GATEWAY, "tls": False}).objects)
    ]
    assert kinds[-2:] == ["Ingress", "HTTPRoute"]


# The Service


def test_a_load_balancer_with_every_setting() -> None:
    service = {
        "type": "LoadBalancer",
        "annotations": {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"},
        "loadBalancerClass": "service.k8s.aws/nlb",
        "loadBalancerSourceRanges": ["192.0.2.0/24"],
        "externalTrafficPolicy": "Local",
    }
    body = manifest(draw_once(webui={"service": service}), "Service", "airis-service")
    assert body["metadata"]["annotations"] == {**service["annotations"], **SKIP_AWAIT}  # type: ignore[dict-item]
    assert {key: body["spec"][key] for key in service if key in body["spec"]} == {
        key: value for key, value in service.items() if key != "annotations"
    }


def test_a_service_has_no_unset_fields() -> None:
    for kind in ("ClusterIP", "LoadBalancer"):
        spec = manifest(draw_once(webui={"service": {"type": kind}}), "Service", "airis-service")["spec"]
        assert spec.keys() == {"type", "selector", "ports"}


# Open WebUI's variables

LOCAL = "http://localhost:8080"


@pytest.mark.parametrize(
    ("settings", "url", "origins", "secure"),
    [
        ({"ingress": {"host": HOST}}, f"http://{HOST}", f"http://{HOST};{LOCAL}", False),
        ({"ingress": {"host": HOST, "tls": TLS}}, f"https://{HOST}", f"https://{HOST}", True),
        (
            {"ingress": {"host": HOST, "hosts": ["ai.example.com"], "tls": TLS}},
            f"https://{HOST}",
            f"https://{HOST};https://ai.example.com",
            True,
        ),
        (
            {"ingress": {"host": "*.example.com", "hosts": [HOST]}},
            f"http://{HOST}",
            f"http://{HOST};{LOCAL}",
            False,
        ),
        ({"gateway": GATEWAY}, f"https://{HOST}", f"https://{HOST}", True),
        ({"gateway": {**GATEWAY, "tls": False}}, f"http://{HOST}", f"http://{HOST};{LOCAL}", False),
        (
            {"ingress": {"host": "old.example.com", "tls": TLS}, "gateway": GATEWAY},
            "https://old.example.com",
            f"https://old.example.com;https://{HOST}",
            True,
        ),
        # TLS termination in front of the Ingress
        (
            {"ingress": {"host": HOST, "hosts": ["ai.example.com"]}, "webui": {"url": f"https://{HOST}"}},
            f"https://{HOST}",
            f"https://{HOST};https://ai.example.com",
            True,
        ),
        (
            {"ingress": {"host": "*.example.com"}, "webui": {"url": f"https://{HOST}:8443/"}},
            f"https://{HOST}:8443",
            f"https://{HOST}:8443",
            True,
        ),
        # only a load balancer
        (
            {"webui": {"url": "http://192.0.2.7:8080", "service": {"type": "LoadBalancer"}}},
            "http://192.0.2.7:8080",
            f"http://192.0.2.7:8080;{LOCAL}",
            False,
        ),
        (
            {"ingress": {"host": HOST, "tls": TLS}, "webui": {"corsOrigins": [LOCAL, f"https://{HOST}"]}},
            f"https://{HOST}",
            f"https://{HOST};{LOCAL}",
            True,
        ),
        ({"webui": {"corsOrigins": ["https://intranet.example.com"]}}, None, "https://intranet.example.com", False),
    ],
)
def test_variables_for_the_public_url(settings: dict[str, Any], url: str | None, origins: str, secure: bool) -> None:
    flags = {"WEBUI_SESSION_COOKIE_SECURE": "True", "WEBUI_AUTH_COOKIE_SECURE": "True"} if secure else {}
    assert told(**settings) == {
        **({"WEBUI_URL": url} if url else {}),
        "CORS_ALLOW_ORIGIN": origins,
        **flags,
    }
    inside = "http://airis-service.airis.svc:8080"
    assert draw_once(**settings).exports["url"] == (url or inside)


@pytest.mark.parametrize("service", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_without_a_known_url_no_variables_are_set(service: str) -> None:
    assert told(webui={"service": {"type": service}}) == {}


def test_the_port_forward_origin_is_allowed_without_tls() -> None:
    """python-engineio 4 accepts only listed origins, the page's own included."""
    drawn = draw_once(ingress={"host": HOST})
    port = str(drawn.exports["portForward"]).rpartition(" ")[2].partition(":")[0]
    assert f"http://localhost:{port}" in told(ingress={"host": HOST})["CORS_ALLOW_ORIGIN"].split(";")


def test_exposure_variables_are_complete_and_reserved() -> None:
    exposure = Exposure(ingress=IngressSettings(host=HOST), url=f"https://{HOST}")
    assert exposure.variables.keys() == EXPOSURE_VARIABLES
    assert WebUISettings().managed_env.keys() >= EXPOSURE_VARIABLES


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://Chat.Example.com/", "https://chat.example.com"),
        ("https://chat.example.com:443", "https://chat.example.com"),
        ("http://chat.example.com:80", "http://chat.example.com"),
        ("http://chat.example.com:443", "http://chat.example.com:443"),
        ("http://[2001:DB8::1]:8080", "http://[2001:db8::1]:8080"),
    ],
)
def test_origins_are_normalized_like_in_browsers(given: str, stored: str) -> None:
    assert WebUISettings(url=given).url == stored
    assert WebUISettings(cors_origins=(given,)).cors_origins == (stored,)


def warnings(**settings: object) -> list[str]:
    stack = stack_of(**settings)
    loaded = load(stack.config, source="test", secret_keys=stack.secret_keys)
    return [each for each in loaded.warnings() if "corsOrigins" in each]


def test_addresses_missing_in_the_origins_are_warned_of() -> None:
    host, node_port = {"host": HOST}, {"service": {"type": "NodePort"}}
    (warning,) = warnings(ingress=host, webui=node_port)
    assert warning.startswith("airis:webui.service.type: NodePort ")
    assert warnings(ingress=host) == []
    assert warnings(webui=node_port) == []
    assert warnings(ingress=host, webui={**node_port, "corsOrigins": ["http://192.0.2.7:30080"]}) == []
    assert warnings(ingress=host, webui={**node_port, "url": f"https://{HOST}"}) == []


# The sandbox


def test_the_sandbox_installs_only_the_crds_that_a_stack_uses() -> None:
    assert definitions_for([plain(each) for each in committed("gpu").objects]) == []
    (definition,) = definitions_for([plain(each) for each in draw_once(gateway=GATEWAY).objects])
    assert definition["kind"] == "CustomResourceDefinition"
    assert definition["spec"]["names"]["kind"] == "HTTPRoute"
    (version,) = definition["spec"]["versions"]
    assert version["name"] == "v1"
    assert "description" not in version["schema"]["openAPIV3Schema"]
    foreign = {"apiVersion": "example.com/v1", "kind": "HTTPRoute", "metadata": {"name": "a"}}
    assert definitions_for([foreign]) == []


def test_a_rehearsal_waits_until_a_kind_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "httproutes.gateway.networking.k8s.io"
    calls: list[str] = []

    def apply(_: Kubectl, objects: Sequence[KubeObject]) -> None:
        calls.extend(f"apply {each['metadata']['name']}" for each in objects)

    def get(_: Kubectl, *args: str) -> list[dict[str, Any]]:
        calls.append(f"get {args[0]}")
        if len(calls) < 4:
            raise KubectlError("the server doesn't have a resource type")
        return []

    monkeypatch.setattr(Kubectl, "apply", apply)
    monkeypatch.setattr(Kubectl, "get", get)
    monkeypatch.setattr("airis.rehearse.rehearsal.POLL_SECONDS", 0)
    needed = definitions_for([plain(each) for each in draw_once(gateway=GATEWAY).objects])
    define(needed, Kubectl(Path("kubectl"), Path("kubeconfig")))
    assert calls == [f"apply {name}", *[f"get {name}"] * 3]


def test_the_rehearsal_fails_if_a_kind_is_never_served(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(_: Kubectl, *args: str) -> list[dict[str, Any]]:
        raise KubectlError(f"the server doesn't have a resource type {args[0]}")

    monkeypatch.setattr(Kubectl, "apply", lambda *_: None)
    monkeypatch.setattr(Kubectl, "get", get)
    monkeypatch.setattr("airis.rehearse.rehearsal._DEFINED_SECONDS", 0)
    monkeypatch.setattr("airis.rehearse.rehearsal.POLL_SECONDS", 0)
    with pytest.raises(KubectlError, match="resource type a"):
        define([{"metadata": {"name": "a"}}], Kubectl(Path("kubectl"), Path("kubeconfig")))


# Invalid settings


def line(key: str, value: object) -> str:
    """One line of a stack file."""
    return f"airis:{key}: {yaml.safe_dump(value, default_flow_style=True, width=1000).strip()}"


WITH_HOST = "only together with a host"
URL = "a URL such as https://chat.example.com, without path and user: Open WebUI serves only from /"
OPEN = "only with type NodePort or LoadBalancer"
BALANCED = "only with type LoadBalancer"
CONTROLLER = "one of 'nginx', 'traefik', 'haproxy' or 'none'"
ONCE = "each Gateway once, or its listeners by sectionName"
OTHER_LISTENER = "a listener that is not in parentRefs, by its sectionName or port"
BODY_SIZE = "null, or controller nginx: the others have no limit"
PARENT = {"name": "public"}


def ingress(key: str, given: str, allowed: str, **settings: object) -> Refusal:
    return Refusal(line("ingress", settings), f"airis:ingress.{key}", given, allowed)


def gateway(key: str, given: str, allowed: str, **settings: object) -> Refusal:
    settings = {"hosts": [HOST], "parentRefs": [PARENT], **settings}
    return Refusal(line("gateway", settings), f"airis:gateway.{key}", given, allowed)


def service(key: str, given: str, allowed: str, **settings: object) -> Refusal:
    return Refusal(line("webui", {"service": settings}), f"airis:webui.service.{key}", given, allowed)


def managed(key: str, by: str, **settings: object) -> Refusal:
    settings = {"host": HOST, "annotations": {key: "x"}, **settings}
    return Refusal(line("ingress", settings), "airis:ingress.annotations", f'"{key}"', f"no {key}: {by}")


REFUSED = [
    ingress("hosts", '["a.example.com"]', WITH_HOST, hosts=["a.example.com"]),
    ingress("tls", '"a certificate"', WITH_HOST, tls=TLS),
    ingress("controller", '"nginx"', WITH_HOST, controller="nginx"),
    ingress("annotations", '["a"]', WITH_HOST, annotations={"a": "b"}),
    ingress("controller", '"f5"', CONTROLLER, host=HOST, controller="f5"),
    ingress("hosts[0]", f'"{HOST}"', "each host once", host=HOST, hosts=[HOST]),
    ingress("hosts[1]", '"a.example.com"', "each host once", host=HOST, hosts=["a.example.com", "A.example.com"]),
    ingress("maxBodySize", '"1Gi"', BODY_SIZE, host=HOST, maxBodySize="1Gi", controller="none"),
    ingress("maxBodySize", '"1Gi"', WITH_HOST, maxBodySize="1Gi"),
    ingress("timeoutSeconds", "60", WITH_HOST, timeoutSeconds=60),
    ingress("maxBodySize", '"1Gi"', BODY_SIZE, host=HOST, maxBodySize="1Gi", controller="haproxy"),
    ingress(
        "timeoutSeconds",
        "60",
        "null, or controller nginx or haproxy",
        host=HOST,
        timeoutSeconds=60,
        controller="none",
    ),
    ingress(
        "timeoutSeconds",
        "60",
        "null, or controller nginx or haproxy",
        host=HOST,
        timeoutSeconds=60,
        controller="traefik",
    ),
    ingress("timeoutSeconds", "0", "a whole number, at least 1", host=HOST, timeoutSeconds=0, controller="nginx"),
    ingress(
        "timeoutSeconds", "86401", "a whole number, at most 86400", host=HOST, timeoutSeconds=86401, controller="nginx"
    ),
    ingress(
        "tls.secretName",
        "null (the default)",
        "the Secret with the certificate, or also set clusterIssuer or issuer",
        host=HOST,
        tls={},
    ),
    ingress(
        "tls.issuer",
        '"a"',
        "one of this and clusterIssuer, not both",
        host=HOST,
        tls={"issuer": "a", "clusterIssuer": "b"},
    ),
    ingress(
        "host",
        '"*.example.com"',
        "also a host without *, or set airis:webui.url: links need a host name",
        host="*.example.com",
    ),
    managed("kubernetes.io/ingress.class", "className"),
    managed(f"{NGINX}/proxy-body-size", "controller", controller="nginx"),
    managed(f"{NGINX}/affinity", "controller", controller="nginx"),
    managed(f"{NGINX}/ssl-redirect", "controller", controller="nginx", tls=TLS),
    managed(f"{TRAEFIK}/router.tls", "controller", controller="traefik", tls=TLS),
    managed("haproxy.org/ssl-redirect-port", "controller", controller="haproxy", tls=TLS),
    managed("cert-manager.io/cluster-issuer", "tls", tls={"clusterIssuer": "a"}),
    managed("cert-manager.io/cluster-issuer", "tls", tls={"issuer": "a"}),
    gateway("hosts", "[]", "at least one; or gateway: null", hosts=[]),
    gateway("hosts[0]", '"a b"', HOST_ALLOWED, hosts=["a b"]),
    gateway("parentRefs", "[]", "at least one; or gateway: null", parentRefs=[]),
    gateway("hosts[1]", f'"{HOST}"', "each host once", hosts=[HOST, HOST]),
    gateway("parentRefs[0].port", "0", "a whole number, at least 1", parentRefs=[{**PARENT, "port": 0}]),
    gateway("parentRefs[0].port", "65536", "a whole number, at most 65535", parentRefs=[{**PARENT, "port": 65536}]),
    gateway("parentRefs[1]", '"public"', ONCE, parentRefs=[PARENT, PARENT]),
    gateway("parentRefs[1]", '"public"', ONCE, parentRefs=[{**PARENT, "port": 80}, {**PARENT, "port": 81}]),
    gateway("parentRefs[1]", '"public"', ONCE, parentRefs=[{**PARENT, "sectionName": "a"}, PARENT]),
    gateway("redirectFrom[0]", '"public"', OTHER_LISTENER, redirectFrom=[PARENT]),
    gateway(
        "redirectFrom[1]",
        '"edge"',
        ONCE,
        redirectFrom=[{"name": "edge"}, {"name": "edge"}],
    ),
    gateway("redirectFrom", '["edge"]', "only together with tls", redirectFrom=[{"name": "edge"}], tls=False),
    gateway("requestTimeoutSeconds", "-1", "a whole number, at least 0", requestTimeoutSeconds=-1),
    gateway("requestTimeoutSeconds", "100000", "a whole number, at most 99999", requestTimeoutSeconds=100000),
    gateway(
        "backendRequestTimeoutSeconds",
        "11",
        "at most requestTimeoutSeconds, which is 10",
        requestTimeoutSeconds=10,
        backendRequestTimeoutSeconds=11,
    ),
    gateway(
        "hosts",
        '"*.example.com"',
        "also a host without *, or set airis:webui.url: links need a host name",
        hosts=["*.example.com"],
    ),
    Refusal(
        f"airis:gateway: {{hosts: [{HOST}]}}", "airis:gateway.parentRefs", "nothing", "a value: this key is required"
    ),
    service("externalTrafficPolicy", '"Local"', OPEN, externalTrafficPolicy="Local"),
    service("loadBalancerClass", '"a/b"', BALANCED, loadBalancerClass="a/b"),
    service("loadBalancerClass", '"a/b"', BALANCED, loadBalancerClass="a/b", type="NodePort"),
    service(
        "loadBalancerSourceRanges",
        '["192.0.2.0/24"]',
        BALANCED,
        loadBalancerSourceRanges=["192.0.2.0/24"],
        type="NodePort",
    ),
    service(
        "loadBalancerSourceRanges[0]",
        '"192.0.2.1/24"',
        "an address range such as 10.0.0.0/8, without host bits",
        loadBalancerSourceRanges=["192.0.2.1/24"],
        type="LoadBalancer",
    ),
    *(
        Refusal(line("webui", {"url": url}), "airis:webui.url", f'"{url}"', URL)
        for url in (
            "chat.example.com",
            "https://chat.example.com/openwebui",
            "ftp://chat.example.com",
            "https://*.example.com",
            "https://chat.example.com?a",
            "https://chat.example.com#a",
            "https://chat.example.com:0",
            "https://chat.example.com:99999",
            "https://",
            "https://a;https://b",
            "https://[::g]",
        )
    ),
    Refusal(line("webui", {"corsOrigins": ["*"]}), "airis:webui.corsOrigins[0]", '"*"', URL),
    Refusal(line("webui", {"url": "https://me:word@chat.example.com"}), "airis:webui.url", "[not shown]", URL),
]


@pytest.mark.parametrize("refusal", REFUSED, ids=lambda refusal: f"{refusal.key} {refusal.given}"[:60])
def test_invalid_settings_are_refused(refusal: Refusal, refuse: Refuse) -> None:
    said = refuse(refusal.config)
    assert f"  {refusal.key}\n    given    {refusal.given}\n    allowed  {refusal.allowed}" in said
    assert said.count("    given    ") == 1


BETWEEN_SECTIONS = [
    (
        {"ingress": {"host": HOST, "tls": TLS}, "webui": {"url": f"http://{HOST}"}},
        "airis:webui.url",
        f'"http://{HOST}"',
        "https://, because airis:ingress.tls is set",
    ),
    (
        {"gateway": GATEWAY, "webui": {"url": f"http://{HOST}"}},
        "airis:webui.url",
        f'"http://{HOST}"',
        "https://, because airis:gateway.tls is set",
    ),
    (
        {"ingress": {"host": HOST}, "gateway": GATEWAY},
        "airis:gateway.tls",
        "true (the default)",
        "the same as for the Ingress: both with TLS, or neither; or set airis:webui.url",
    ),
    (
        {
            "ingress": {"host": HOST, "controller": "traefik"},
            "webui": {"service": {"annotations": {COOKIE: "false"}}},
        },
        "airis:webui.service.annotations",
        f'"{COOKIE}"',
        f"no {COOKIE}: airis:ingress.controller sets it",
    ),
]


@pytest.mark.parametrize(("settings", "key", "given", "allowed"), BETWEEN_SECTIONS)
def test_contradictions_between_sections_are_refused(
    settings: dict[str, Any], key: str, given: str, allowed: str, refuse: Refuse
) -> None:
    said = refuse("\n".join(line(*each) for each in settings.items()))
    assert f"  {key}\n    given    {given}\n    allowed  {allowed}" in said
    assert said.count("    given    ") == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"ingress": {"host": HOST, "annotations": {f"{NGINX}/proxy-body-size": "1g"}}},
        {"ingress": {"host": HOST, "annotations": {"cert-manager.io/cluster-issuer": "a"}, "tls": TLS}},
        {"ingress": {"host": HOST, "controller": "haproxy", "annotations": {f"{NGINX}/affinity": "cookie"}}},
        {"ingress": {"host": HOST, "controller": "nginx", "maxBodySize": "1Gi", "timeoutSeconds": 86_400}},
        {"ingress": {"host": HOST, "maxBodySize": "1Gi", "timeoutSeconds": 86_400}},
        {"ingress": {"host": HOST, "controller": "none", "annotations": {f"{NGINX}/proxy-body-size": "1g"}}},
        {"ingress": {"host": HOST}, "webui": {"service": {"annotations": {COOKIE: "false"}}}},
        {"ingress": {"host": HOST}, "gateway": GATEWAY, "webui": {"url": f"https://{HOST}"}},
        {"ingress": {"host": HOST}, "gateway": {**GATEWAY, "tls": False}},
        {"ingress": {"host": HOST, "tls": TLS}, "gateway": GATEWAY},
        {"gateway": {**GATEWAY, "tls": False}, "webui": {"url": f"http://{HOST}"}},
        {"gateway": {**GATEWAY, "parentRefs": [{**PARENT, "sectionName": "a"}, {**PARENT, "sectionName": "b"}]}},
        {"gateway": {**GATEWAY, "parentRefs": [PARENT, {**PARENT, "namespace": "infra"}]}},
        {
            "gateway": {
                **GATEWAY,
                "parentRefs": [{**PARENT, "port": 443}],
                "redirectFrom": [{**PARENT, "port": 80}],
            }
        },
        {"webui": {"service": {"type": "NodePort", "externalTrafficPolicy": "Cluster"}}},
    ],
)
def test_similar_valid_settings_are_accepted(settings: dict[str, object]) -> None:
    stack = stack_of(**settings)
    assert load(stack.config, source="test", secret_keys=stack.secret_keys).warnings() is not None


def test_too_many_hosts_and_gateways_are_refused(refuse: Refuse) -> None:
    many = {"hosts": [f"a{n}.example.com" for n in range(17)], "parentRefs": [{"name": f"a{n}"} for n in range(33)]}
    said = refuse(line("gateway", many))
    assert "at most 16 items" in said
    assert "at most 32 items" in said


def test_gateway_settings_without_a_stack() -> None:
    settings = GatewaySettings.model_validate(
        {"hosts": [HOST], "parentRefs": [{"name": "a"}, {"name": "a", "namespace": "b"}]}
    )
    assert settings.namespaces == ("b",)
