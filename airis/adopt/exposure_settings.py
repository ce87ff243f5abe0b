"""Reads the settings of the Service, the Ingress and the ServiceAccount from the live objects."""

from airis.adopt.cluster import label
from airis.adopt.discovery import Found
from airis.adopt.environment import Config, Notes
from airis.adopt.tool_metadata import without_tools
from airis.cluster.kubectl import KubeObject
from settings.exposure.ingress import CLASS_ANNOTATION, ISSUER_ANNOTATIONS


def service_settings(found: Found, notes: Notes) -> Config:
    """The settings of Open WebUI's Service, below `service`."""
    service = found.service
    if service is None:
        return {}
    spec = service["spec"]
    section: Config = {}
    if spec.get("type", "ClusterIP") in ("NodePort", "LoadBalancer"):
        section["type"] = spec["type"]
        ports = [each["nodePort"] for each in spec.get("ports") or [] if "nodePort" in each]
        if service["metadata"]["name"] == "airis-service" and ports:
            section["nodePort"] = ports[0]
        elif ports:
            notes.dropped.append(
                f"{label(service)}: its node port {ports[0]}, which it keeps: the new Service gets another one"
            )
        if spec.get("externalTrafficPolicy", "Cluster") != "Cluster":
            section["externalTrafficPolicy"] = spec["externalTrafficPolicy"]
        if spec["type"] == "LoadBalancer":
            section.update({"loadBalancerClass": spec["loadBalancerClass"]} if spec.get("loadBalancerClass") else {})
            ranges = spec.get("loadBalancerSourceRanges")
            section.update({"loadBalancerSourceRanges": ranges} if ranges else {})
    annotations = without_tools(service["metadata"].get("annotations") or {})
    section.update({"annotations": annotations} if annotations else {})
    return {"service": section} if section else {}


def ingress_settings(ingress: KubeObject, notes: Notes) -> Config:
    """The settings of the Ingress; empty if it has no host."""
    rules = ingress["spec"].get("rules") or []
    hosts = list(dict.fromkeys(each["host"] for each in rules if each.get("host")))
    if not hosts:
        notes.dropped.append(
            f"{label(ingress)}: it has no host; set airis:ingress.host, or expose the Service with airis:webui.service.type"
        )
        return {}
    for each in rules:
        for path in (each.get("http") or {}).get("paths") or []:
            if path.get("path", "/") != "/":
                notes.dropped.append(
                    f"{label(ingress)}: the path {path['path']}; airis:ingress routes all paths to Open WebUI"
                )
    annotations = without_tools(ingress["metadata"].get("annotations") or {})
    named = ingress["spec"].get("ingressClassName") or annotations.pop(CLASS_ANNOTATION, None)
    issuers = {key: annotations.pop(name) for key, name in ISSUER_ANNOTATIONS.items() if name in annotations}
    section: Config = {"host": hosts[0], **({"hosts": hosts[1:]} if hosts[1:] else {})}
    section.update({"className": named} if named else {})
    if tls := ingress["spec"].get("tls"):
        issuer = {{"cluster_issuer": "clusterIssuer"}.get(key, key): value for key, value in issuers.items()}
        section["tls"] = {**({"secretName": tls[0]["secretName"]} if tls[0].get("secretName") else {}), **issuer}
        if not section["tls"]:
            notes.dropped.append(
                f"{label(ingress)}: TLS without its own certificate; set airis:webui.url with https:// instead"
            )
            del section["tls"]
    section.update({"annotations": annotations} if annotations else {})
    return section


def account_annotations(found: Found) -> dict[str, str]:
    """The annotations of Open WebUI's ServiceAccount."""
    name = found.webui.pod["serviceAccountName"]
    accounts = [each for each in found.objects if each["kind"] == "ServiceAccount" and each["metadata"]["name"] == name]
    return without_tools(accounts[0]["metadata"].get("annotations") or {}) if accounts else {}
