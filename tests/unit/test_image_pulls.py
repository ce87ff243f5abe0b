"""Why an image cannot be pulled: the nodes' messages, and the remedy for each."""

from typing import Any

import pytest

from airis.cluster.image_pulls import REMEDY, instead, remedy
from airis.deploy.watch import troubles
from airis.doctor.requirements import Workload
from settings.ollama.ollama import OllamaSettings
from settings.webui.webui import WebUISettings
from tests.unit.doctors import wanted

pytestmark = pytest.mark.timeout(60)

IMAGE = "ghcr.io/open-webui/open-webui:v9.9.9"
DEFAULT = WebUISettings().image
RPC = "rpc error: code = {code} desc = "
RESOLVE = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '
BACK_OFF = f'Back-off pulling image "{IMAGE}": ErrImagePull: '


def pod(image: str = IMAGE, application: str = "open-webui", **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": "airis-1", "namespace": "airis", "labels": {"app.kubernetes.io/name": application}},
        "spec": {"nodeName": "a", "containers": [{"name": "airis", "image": image}], **spec},
        "status": {"phase": "Pending"},
    }


def waiting(reason: str, message: str, **spec: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {**pod(**spec), "status": {"phase": "Pending", "containerStatuses": [{"name": "airis", "state": state}]}}


@pytest.mark.parametrize(
    ("message", "words"),
    [
        # containerd
        (f"{RPC.format(code='NotFound')}{RESOLVE}{IMAGE}: not found", f"{IMAGE} does not exist: use {DEFAULT}"),
        (
            f"{RESOLVE}pull access denied, repository does not exist or may require authorization: server message: "
            "insufficient_scope: authorization failed",
            f"{IMAGE} does not exist, or needs other credentials: use {DEFAULT}",
        ),
        (
            f"{RESOLVE}failed to authorize: failed to fetch anonymous token: unexpected status from GET request to "
            "https://ghcr.io/token?scope=repository%3Aopen-webui%2Fopen-webui%3Apull&service=ghcr.io: 403 Forbidden",
            "for a private image, set a pull secret (airis:imagePullSecrets)",
        ),
        (
            f"{RESOLVE}unexpected status from HEAD request to https://ghcr.io/v2/open-webui/open-webui/manifests/v9.9.9: "
            "401 Unauthorized",
            "needs other credentials",
        ),
        (
            f"{RPC.format(code='NotFound')}failed to pull and unpack image \"{IMAGE}\": no match for platform in manifest "
            "sha256:0123: not found",
            f"{IMAGE} is not built for this node's architecture",
        ),
        (
            f'{RESOLVE}failed to do request: Head "https://ghcr.io/v2/": tls: failed to verify certificate: x509: certificate '
            "signed by unknown authority",
            "airis:caBundle is for pods",
        ),
        (
            f'{RESOLVE}failed to do request: Head "https://x/": http: server gave HTTP response to HTTPS client',
            "TLS between node and registry fails",
        ),
        (
            f'{RESOLVE}failed to do request: Head "https://ghcr.io/v2/": dial tcp: lookup ghcr.io on 10.0.0.10:53: no such '
            "host",
            "cannot reach the registry",
        ),
        (
            f'{RESOLVE}failed to authorize: failed to fetch anonymous token: Get "https://ghcr.io/token": dial tcp '
            "192.0.2.1:443: i/o timeout",
            "cannot reach the registry",
        ),
        (f"{RESOLVE}unexpected status from HEAD request to https://ghcr.io/v2/: 503 Service Unavailable", "cannot reach"),
        (
            f"{RESOLVE}unexpected status from HEAD request to https://registry-1.docker.io/v2/: 429 Too Many Requests",
            "limits anonymous pulls",
        ),
        (f"{RESOLVE}write /var/lib/containerd/x: no space left on device", "the node's disk is full"),
        # CRI-O, Docker, and the codes of the specification
        ("reading manifest v9.9.9 in ghcr.io/open-webui/open-webui: manifest unknown", "does not exist: use"),
        ("reading manifest v9.9.9 in x: denied: requested access to the resource is denied", "other credentials"),
        ("toomanyrequests: You have reached your pull rate limit.", "limits anonymous pulls"),
        (
            'choosing image instance: no image found in image index for architecture "arm64", variant "v8", OS "linux"',
            "is not built for this node's architecture",
        ),
        ("something that nobody has seen", REMEDY),
    ],
)  # fmt: skip
def test_each_message_gets_the_remedy_that_fits(message: str, words: str) -> None:
    for body in (waiting("ErrImagePull", message), waiting("ImagePullBackOff", f"{BACK_OFF}{message}")):
        (found,) = troubles([body])

        assert " ".join(message.split()) in found.reason
        assert words in found.remedy


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [
        (
            "InvalidImageName",
            f'Failed to apply default image tag "{IMAGE}": couldn\'t parse image name "{IMAGE}": invalid reference format',
            f"{IMAGE} is not a valid image name",
        ),
        (
            "ErrImageNeverPull",
            f'Container image "{IMAGE}" is not present with pull policy of Never',
            "imagePullPolicy is Never",
        ),
    ],
)
def test_failures_before_a_registry_is_contacted(reason: str, message: str, words: str) -> None:
    (found,) = troubles([waiting(reason, message)])

    assert words in found.remedy


def test_the_remedy_names_the_pull_secret() -> None:
    body = waiting("ErrImagePull", f"{RESOLVE}401 Unauthorized", imagePullSecrets=[{"name": "registry"}])

    (found,) = troubles([body])

    assert "correct the pull secret registry" in found.remedy
    assert "airis:imagePullSecrets" not in found.remedy


def test_the_image_name_is_not_matched_as_a_reason() -> None:
    image = "registry.example.com/unauthorized/not-found:denied"

    assert remedy(f'Back-off pulling image "{image}"', pod(image), "airis") == REMEDY


def failed(message: str, at: str, name: str = "airis-1") -> dict[str, Any]:
    return {
        "kind": "Event",
        "metadata": {"name": f"{name}.{at}"},
        "type": "Warning",
        "reason": "Failed",
        "message": message,
        "lastTimestamp": at,
        "involvedObject": {"kind": "Pod", "name": name},
    }


def test_without_a_cause_in_the_status_the_last_event_counts() -> None:
    """As before Kubernetes 1.32."""
    events = [
        failed(f'Failed to pull image "{IMAGE}": {IMAGE}: not found', "2026-01-01T00:00:30Z"),
        failed(f'Failed to pull image "{IMAGE}": dial tcp: i/o timeout', "2026-01-01T00:00:10Z"),
        failed("Error: ErrImagePull", "2026-01-01T00:00:40Z"),
        failed(f'Failed to pull image "{IMAGE}": x509: unknown authority', "2026-01-01T00:00:50Z", "airis-2"),
    ]

    (found,) = troubles([waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"'), *events])

    assert f"{IMAGE} does not exist: use {DEFAULT}" in found.remedy
    assert "not found" in found.reason


def test_an_image_for_another_architecture_may_only_show_when_it_runs() -> None:
    state = {"terminated": {"exitCode": 255, "reason": "StartError", "message": "exec /ollama: exec format error"}}
    body = {**pod(), "status": {"phase": "Pending", "containerStatuses": [{"name": "airis", "state": state}]}}

    (found,) = troubles([body])

    assert "not built for this node's architecture" in found.remedy


def workload(kind: str, **settings: Any) -> Workload:
    return next(each for each in wanted(**settings).workloads if each.kind == kind)


def advice(image: str, kind: str, **settings: Any) -> str:
    """The advice for that image instead of the stack's."""
    found = workload(kind, **settings)
    container = {**found.pod["containers"][0], "image": image}
    return instead(image, {"metadata": {"labels": found.labels}, "spec": {**found.pod, "containers": [container]}})


def test_the_suggested_image_depends_on_the_component() -> None:
    ollama = OllamaSettings().image
    amd = {"ollama": {"gpu": {"vendor": "amd"}}}

    assert advice("x/y:1", "Deployment") == f"use {DEFAULT}, the default of airis:webui.image"
    assert advice("x/y:1", "StatefulSet") == f"use {ollama}, the default of airis:ollama.image"
    assert advice("x/y:1", "StatefulSet", **amd) == f"use {ollama}-rocm, the default of airis:ollama.image"
    assert advice("x/y:1", "Job", ollama={"models": ["tiny"]}) == f"use {ollama}, the default of airis:ollama.image"
    mirror = f"mirror.example.com/hub/{ollama}"
    assert advice(mirror, "StatefulSet") == f"copy {ollama} there, or correct airis:registry.mirror"
    assert "it is the default of airis:ollama.image" in advice(ollama, "StatefulSet")


def test_an_added_container_has_no_default_image() -> None:
    containers = [{"name": "airis", "image": IMAGE}, {"name": "proxy", "image": "example.com/proxy:1"}]

    assert instead("example.com/proxy:1", pod(containers=containers)) == "correct its name"
    assert instead(IMAGE, pod(application="something-else")) == "correct its name"
