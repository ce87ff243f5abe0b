"""Certificates of one run, created by openssl: an authority, and those of the server and its clients."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.cluster.node.places import ADDRESS, API, API_PORT, NAME

_SERVER = f"subjectAltName=IP:127.0.0.1,IP:{ADDRESS},IP:{API},DNS:localhost,DNS:{NAME},DNS:kubernetes.default.svc"


def issue(folder: Path) -> None:
    """Writes `ca`, `server`, `admin`, `kubelet`, `front-proxy` (each .crt and .key) and two kubeconfigs into `folder`."""
    certificate(folder, "ca", "/CN=airis-node", signed=False)
    certificate(folder, "server", f"/CN={NAME}", "-addext", _SERVER)
    certificate(folder, "admin", "/O=system:masters/CN=admin")
    certificate(folder, "kubelet", f"/O=system:nodes/CN=system:node:{NAME}")
    certificate(folder, "front-proxy", "/CN=front-proxy")
    for client in ("admin", "kubelet"):
        (folder / f"{client}.kubeconfig").write_text(json.dumps(_kubeconfig(folder, client)), encoding="utf-8")


def certificate(folder: Path, name: str, subject: str, *options: str, signed: bool = True) -> None:
    """Writes `<name>.crt` and `<name>.key`, signed by `ca` in the same folder, or self-signed; `options` are openssl's."""
    authority = ["-CA", "ca.crt", "-CAkey", "ca.key"] if signed else []
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
            *("-days", "2", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.crt"),
            *(*authority, *options),
        ],
        cwd=folder,
        capture_output=True,
        check=True,
        timeout=30,
    )


def _kubeconfig(folder: Path, client: str) -> dict[str, Any]:
    """A kubeconfig with embedded certificates, because it is read inside and outside of the node's mount namespace."""

    def data(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    cluster = {"server": f"https://{ADDRESS}:{API_PORT}", "certificate-authority-data": data("ca.crt")}
    user = {"client-certificate-data": data(f"{client}.crt"), "client-key-data": data(f"{client}.key")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": client, "user": user}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": client}}],
        "current-context": NAME,
    }
