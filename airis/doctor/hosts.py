"""Checks of the host names: certificates and DNS."""

from airis.cluster.readiness import condition
from airis.doctor.checks import Group, Outcomes, Scope, check, listed, ok, problem, warning
from airis.doctor.exposure import GATEWAYS
from airis.doctor.observation import NotChecked, Observation, name_of, named

_WAY_IN = (Group.EXPOSURE, Scope.STACK)


@check(
    "issuer",
    *_WAY_IN,
    "Are cert-manager and the issuer that the stack names installed?",
    why="Without them no certificate is issued: the controller serves its default certificate, and browsers warn.",
    remedy="install cert-manager and create the issuer; or provide a certificate in airis:ingress.tls.secretName",
)
def issuer(seen: Observation) -> Outcomes:
    """Checks that the ClusterIssuer or Issuer is Ready."""
    tls = seen.stack.settings.ingress.tls
    if seen.stack.settings.ingress.host is None or tls is None or not tls.issuers:
        return
    if not seen.cluster.groups.get("cert-manager.io"):
        yield problem("cert-manager is not installed: the cluster does not serve cert-manager.io")
        return
    name = tls.cluster_issuer or tls.issuer or ""
    kind = "ClusterIssuer" if tls.cluster_issuer else "Issuer"
    resource = f"{kind.lower()}s.cert-manager.io"
    found = named(seen.all(resource) if tls.cluster_issuer else seen.own(resource), name)
    if found is None:
        yield problem(f"{kind} {name} does not exist")
    elif condition(found, "Ready").get("status") != "True":
        yield problem(f"{kind} {name} is not ready: {condition(found, 'Ready').get('message') or 'it gives no reason'}")
    else:
        yield ok(f"{kind} {name} is ready")


@check(
    "tls-secret",
    *_WAY_IN,
    "Does the Secret with the certificate exist, if no issuer creates it?",
    why="Without it the controller serves its default certificate, and browsers warn.",
    remedy="`kubectl create secret tls NAME --namespace=NAMESPACE --cert=FILE --key=FILE`",
)
def tls_secret(seen: Observation) -> Outcomes:
    """Checks airis:ingress.tls.secretName for the keys of type kubernetes.io/tls."""
    for name in seen.stack.tls_secrets:
        seen.known("secrets")
        there = next((each for each in seen.cluster.secrets if each.name == name), None)
        if there is None:
            yield problem(f"Secret {name} does not exist in namespace {seen.stack.namespace}")
        elif not {"tls.crt", "tls.key"} <= there.keys:
            yield problem(f"Secret {name} (type {there.type}) has no tls.crt and tls.key")
        else:
            yield ok(f"Secret {name} exists")


@check(
    "dns",
    *_WAY_IN,
    "Does the host name resolve to the Ingress or Gateway?",
    why="If the host does not resolve, or resolves to another address, browsers do not reach a healthy WebUI either.",
    remedy="create a DNS record for the host with the address of the Ingress or Gateway; on minikube or kind, edit /etc/hosts",
)
def dns(seen: Observation) -> Outcomes:
    """Compares the addresses from this machine's resolver with those in the status of Ingress and Gateway."""
    for host in seen.stack.hosts:
        found, wanted = seen.resolved.get(host, ()), addresses(seen)
        towards = f"; its address is {listed(wanted)}" if wanted else ""
        if not found:
            local = '`echo "$(minikube ip) HOST" | sudo tee -a /etc/hosts`' if host.endswith(".local") else ""
            yield warning(f"{host} does not resolve on this machine{towards}", local.replace("HOST", host))
        elif wanted and not set(found) & {address for each in wanted for address in seen.resolved.get(each) or [each]}:
            yield warning(
                f"{host} resolves to {listed(found)}, but the Ingress or Gateway is at {listed(wanted)}",
                "expected behind a load balancer or tunnel; otherwise, correct the DNS record",
            )
        else:
            yield ok(f"{host} resolves to {listed(found)}")


def addresses(seen: Observation) -> list[str]:
    """The addresses in the status of the stack's Ingress and Gateways: IP addresses, or host names of load balancers."""
    try:
        balancers = [
            entry
            for each in seen.own("ingresses.networking.k8s.io")
            if seen.stack.makes("Ingress", name_of(each))
            for entry in ((each.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        ]
    except NotChecked:
        return []
    named_here = [str(each.get("ip") or each.get("hostname")) for each in balancers]
    gateway = seen.stack.settings.gateway
    parents = (
        {(each.namespace or seen.stack.namespace, each.name) for each in gateway.parent_refs} if gateway else set()
    )
    for each in seen.cluster.objects.get(GATEWAYS, ()):
        if (each["metadata"]["namespace"], name_of(each)) in parents:
            named_here += [str(one["value"]) for one in (each.get("status") or {}).get("addresses") or []]
    return list(dict.fromkeys(named_here))
