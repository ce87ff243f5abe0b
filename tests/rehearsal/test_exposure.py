"""The ways in on a real API server: every preset is admitted, and what is read back is what was written."""

import copy
from typing import Any

import pytest

from airis.cluster.finding import State
from airis.cluster.kubectl import KubectlError
from airis.rehearse.sandbox import Sandbox
from tests.rehearsal.test_security import SEVERAL
from tests.rehearsal.test_stacks import find, rehearsed, wanted
from tests.unit.drawing import draw

pytestmark = pytest.mark.timeout(120)

HTTPS = {"name": "public", "namespace": "infra", "sectionName": "https"}
HTTP = {**HTTPS, "sectionName": "http"}
GATEWAYS: list[dict[str, Any]] = [
    {"hosts": ["chat.example.com"], "parentRefs": [{"name": "public"}], "tls": False},
    {
        "hosts": ["chat.example.com", "*.example.org"],
        "parentRefs": [HTTPS, {"name": "inner", "port": 8443}],
        "redirectFrom": [HTTP],
        "requestTimeoutSeconds": 1800,
        "backendRequestTimeoutSeconds": 900,
        "annotations": {"example.com/owner": "search"},
    },
    {
        "hosts": [f"chat-{number}.example.com" for number in range(16)],
        "parentRefs": [{**HTTPS, "sectionName": f"https-{number}"} for number in range(32)],
        "requestTimeoutSeconds": None,
    },
    {
        "hosts": ["chat.example.com"],
        "parentRefs": [HTTPS],
        "requestTimeoutSeconds": 0,
        "backendRequestTimeoutSeconds": 99_999,
    },
]
INGRESSES: list[dict[str, Any]] = [
    {"controller": controller, "tls": tls, "className": "edge", "hosts": ["*.example.org", "ai.example.com"]}
    for controller in ("nginx", "traefik", "haproxy", None)
    for tls in ({"clusterIssuer": "letsencrypt"}, {"secretName": "chat-certificate", "redirect": False}, None)
]


def live(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """What the API server keeps of it, but for what it adds to every object."""
    (found,) = sandbox.kubectl.get(body["kind"], body["metadata"]["name"], "--namespace=airis")
    kept = {key: found[key] for key in body}
    kept["metadata"] = {key: found["metadata"][key] for key in body["metadata"]}
    return kept


def routes(gateway: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in wanted(draw(gateway=gateway)) if each["kind"] == "HTTPRoute"]


def test_a_stack_with_a_gateway_comes_up(clean_sandbox: Sandbox) -> None:
    verdict = rehearsed(wanted(draw(gateway=GATEWAYS[1])), clean_sandbox)

    assert verdict.ok, verdict
    for name in ("airis-route", "airis-route-redirect"):
        (state,) = {each.state for each in verdict.findings if (each.kind, each.name) == ("HTTPRoute", name)}
        assert state is State.ADMITTED


def test_every_route_comes_back_as_it_was_written(clean_sandbox: Sandbox) -> None:
    namespace, *_ = wanted(draw())
    assert rehearsed([namespace, *routes(GATEWAYS[0])], clean_sandbox).ok
    for gateway in GATEWAYS:
        for route in routes(gateway):
            clean_sandbox.kubectl.apply([route])
            assert live(clean_sandbox, route) == route


def test_the_definition_refuses_what_the_settings_refuse(clean_sandbox: Sandbox) -> None:
    namespace, *_ = wanted(draw())
    (route,) = routes(GATEWAYS[0])
    assert rehearsed([namespace, route], clean_sandbox).ok

    def refused(**spec: object) -> str:
        body = copy.deepcopy(route)
        body["spec"] |= spec
        with pytest.raises(KubectlError) as caught:
            clean_sandbox.kubectl.apply([body], dry_run=True)
        return str(caught.value)

    (rule,) = route["spec"]["rules"]
    (parent,) = route["spec"]["parentRefs"]
    timeouts = {"request": "10s", "backendRequest": "11s"}
    assert "backendRequest timeout cannot be longer" in refused(rules=[{**rule, "timeouts": timeouts}])
    assert "sectionName must be" in refused(parentRefs=[parent, {**parent, "port": 8443}])
    assert "sectionName must be" in refused(parentRefs=[{**parent, "sectionName": "a"}, parent])
    assert "hostnames" in refused(hostnames=["192.0.2.1:80"])
    assert "Too many" in refused(hostnames=[f"a{number}.example.com" for number in range(17)])
    assert "Too many" in refused(parentRefs=[{**parent, "sectionName": f"a{number}"} for number in range(33)])
    assert "timeouts" in refused(rules=[{**rule, "timeouts": {"request": "100000s"}}])


def test_an_unknown_kind_is_refused_in_the_api_servers_words(clean_sandbox: Sandbox) -> None:
    """Otherwise the definitions would not have been needed."""
    namespace, *_ = wanted(draw())
    tls_route = {**routes(GATEWAYS[0])[0], "kind": "TLSRoute"}
    clean_sandbox.kubectl.apply([namespace])
    with pytest.raises(KubectlError, match="no matches for kind"):
        clean_sandbox.kubectl.apply([tls_route])


def test_every_preset_is_admitted_and_comes_back_as_it_was_written(clean_sandbox: Sandbox) -> None:
    namespace, *_ = wanted(draw())
    clean_sandbox.kubectl.apply([namespace])
    for ingress in INGRESSES:
        for webui in ({}, SEVERAL):
            drawn = wanted(draw(ingress={"host": "chat.example.com", **ingress}, webui=webui))
            found = [each for each in drawn if each["kind"] in ("Ingress", "Service")]
            clean_sandbox.kubectl.apply(found)
            for each in found:
                if each["kind"] == "Ingress" or each["metadata"]["name"] == "airis-service":
                    there = live(clean_sandbox, each)
                    assert there["metadata"] == each["metadata"]
                    assert {key: there["spec"][key] for key in each["spec"]} == each["spec"]


def test_every_service_type_is_admitted_with_all_that_it_may_have(clean_sandbox: Sandbox) -> None:
    service = {
        "type": "LoadBalancer",
        "annotations": {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"},
        "loadBalancerClass": "service.k8s.aws/nlb",
        "loadBalancerSourceRanges": ["192.0.2.0/24", "2001:db8::/32"],
        "externalTrafficPolicy": "Local",
    }
    verdict = rehearsed(wanted(draw(webui={"service": service})), clean_sandbox)

    assert verdict.ok, verdict
    assert find(verdict, "Service", "airis-service").state is State.READY
    (found,) = clean_sandbox.kubectl.get("service", "airis-service", "--namespace=airis")
    assert found["spec"]["loadBalancerSourceRanges"] == ["192.0.2.0/24", "2001:db8::/32"]
    assert found["spec"]["loadBalancerClass"] == "service.k8s.aws/nlb"
    assert found["spec"]["externalTrafficPolicy"] == "Local"
    node_port = {"type": "NodePort", "nodePort": 30080, "externalTrafficPolicy": "Local"}
    objects = [
        each
        for each in wanted(draw(webui={"service": node_port}))
        if (each["kind"], each["metadata"]["name"]) == ("Service", "airis-service")
    ]
    clean_sandbox.kubectl.delete(objects)
    clean_sandbox.kubectl.apply(objects)
    assert live(clean_sandbox, objects[0])["spec"]["type"] == "NodePort"
