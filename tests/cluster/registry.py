"""A private registry of models: the image's tiny models, served with TLS and a certificate of its own authority."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airis.cluster.kubectl import KubeObject
from tests.cluster.images import recipes
from tests.cluster.node.certificates import certificate
from tests.cluster.ready import wait_ready
from tests.cluster.target import Target

_NAME, _PORT = "registry", 5000
_FOLDER = "/etc/tls"


@dataclass(frozen=True)
class Registry:
    """A running registry. Ollama pulls only through HTTPS, and only if it trusts the certificate."""

    host: str
    """Its address, as the prefix of model names."""
    authority: str
    """The certificate to trust, as PEM."""

    def model(self, name: str) -> str:
        """The full name of `library/<name>`: `tiny` or `tiny-embeddings`."""
        return f"{self.host}/library/{name}"

    def authorities(self, name: str) -> KubeObject:
        """A ConfigMap for `airis:caBundle`."""
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"ca.crt": self.authority}}


def start(cluster: Target, namespace: str, folder: Path) -> Registry:
    """Creates `namespace` and starts the registry in it; returns when it responds. `folder` is for its certificate."""
    host = f"{_NAME}.{namespace}.svc"
    certificate(folder, _NAME, f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", signed=False)
    files = {each: (folder / f"{_NAME}.{each}").read_bytes() for each in ("crt", "key")}
    cluster.images.load(recipes.REGISTRY)
    cluster.kubectl.apply(objects := list(_objects(namespace, files)))
    wait_ready(cluster.kubectl, objects)
    return Registry(f"{host}:{_PORT}", files["crt"].decode())


def stop(cluster: Target, namespace: str) -> None:
    """Deletes the registry."""
    cluster.within(namespace).run("delete", "pod", _NAME)


def _objects(namespace: str, files: dict[str, bytes]) -> tuple[dict[str, Any], ...]:
    labels = {"app": _NAME}
    metadata = {"name": _NAME, "namespace": namespace, "labels": labels}
    container = {
        "name": _NAME,
        "image": recipes.REGISTRY,
        "resources": {"requests": {"cpu": "250m"}},
        "env": [
            {"name": "REGISTRY_HTTP_TLS_CERTIFICATE", "value": f"{_FOLDER}/crt"},
            {"name": "REGISTRY_HTTP_TLS_KEY", "value": f"{_FOLDER}/key"},
        ],
        "readinessProbe": {"httpGet": {"path": "/", "port": _PORT, "scheme": "HTTPS"}, "periodSeconds": 1},
        "volumeMounts": [{"name": "tls", "mountPath": _FOLDER}],
    }
    volumes = [{"name": "tls", "secret": {"secretName": _NAME}}]
    pod = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": _PORT}]},
        },
    )
