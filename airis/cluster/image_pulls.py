"""Why a node cannot pull an image, according to its kubelet, and which image to use instead.

Sources of the messages: containerd 2.4 (core/remotes/docker/resolver.go, core/images/image.go), Kubernetes 1.37
(pkg/kubelet/images), CRI-O, and the error codes of the OCI distribution specification.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from settings.ollama.ollama import OllamaSettings
from settings.state.redis import RedisServerSettings
from settings.types.images import located
from settings.webui.webui import WebUISettings

_APPLICATION = "app.kubernetes.io/name"
_QUOTED = re.compile(r'image "([^"]+)"')
_CREDENTIALS = "for a private image, set a pull secret (airis:imagePullSecrets)"

OTHER_ARCHITECTURE = "use one that is, or schedule the pod on other nodes (label kubernetes.io/arch)"
"""The fix if an image and a node have different architectures."""

REASONS = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError")
"""Reasons of a container that waits for its image. Source: Kubernetes, pkg/kubelet/images/types.go."""

_REMEDIES: Mapping[str, str] = {
    r"InvalidImageName": "{image} is not a valid image name: {instead}",
    r"ErrImageNeverPull": "{image} is not on the node, and imagePullPolicy is Never: load it there, or set another policy",
    r"no match for platform|no matching manifest|no image found in .* for architecture": "{image} is not built for this node's "
    f"architecture: {OTHER_ARCHITECTURE}",
    r"no space left on device": "the node's disk is full: delete images on it, or enlarge the disk",
    r"toomanyrequests|too many requests|pull rate limit": "the registry limits anonymous pulls: wait, set an account's pull "
    "secret (airis:imagePullSecrets), or use a mirror (airis:registry.mirror)",
    r"x509:|tls: |HTTP response to HTTPS client": "TLS between node and registry fails: configure the node's container runtime "
    "to trust the registry's certificate; airis:caBundle is for pods, not for nodes",
    r"no such host|server misbehaving|dial tcp|i/o timeout|connection re(fused|set)|deadline exceeded|proxyconnect|"
    r"registry is unavailable|RegistryUnavailable|: 50[0-9] ": "the node cannot reach the registry: check its DNS, firewall "
    "and container runtime proxy (airis:proxy is for pods), or use a mirror (airis:registry.mirror)",
    r"denied|forbidden|unauthorized|authorization|authentication required|insufficient_scope|no basic auth": "{image} does not "
    "exist, or needs other credentials: {instead}; {credentials}",
    r"not found|unknown|does not exist": "{image} does not exist: {instead}",
}
"""The fix by pattern of the message; the first match counts."""

REMEDY = "the image cannot be pulled: check its name, airis:registry.mirror and airis:imagePullSecrets"
"""The fix if the message gives no cause."""


@dataclass(frozen=True)
class Default:
    """The default image of a setting."""

    key: str
    """Under `airis:`."""
    image: str


def remedy(reason: str, pod: Mapping[str, Any], container: str) -> str:
    """The fix for a container whose image cannot be pulled. `reason` is from the pod's status or an event."""
    image = image_of(pod, container)
    quoted = _QUOTED.search(reason)
    image = image or (quoted[1] if quoted else "the image")
    said = reason.replace(image, "")  # a name such as unauthorized/tools is not a reason
    found = next((words for pattern, words in _REMEDIES.items() if re.search(pattern, said, re.IGNORECASE)), REMEDY)
    secrets = [str(each["name"]) for each in pod["spec"].get("imagePullSecrets") or []]
    credentials = f"or correct the pull secret {' or '.join(secrets)}" if secrets else _CREDENTIALS
    return found.format(image=image, instead=instead(image, pod), credentials=credentials)


def image_of(pod: Mapping[str, Any], container: str) -> str:
    """The image of the pod's container with that name; empty if there is none."""
    containers = [*(pod["spec"].get("initContainers") or []), *(pod["spec"].get("containers") or [])]
    return next((str(each.get("image", "")) for each in containers if each["name"] == container), "")


def instead(image: str, pod: Mapping[str, Any]) -> str:
    """Which image to use instead of an unavailable one. `pod` is a pod or a pod template."""
    default = default_of(image, pod)
    if default is None:
        return "correct its name"
    if image == default.image:
        return f"it is the default of airis:{default.key}, so check the mirror that the node's container runtime uses"
    if image.endswith(f"/{located(default.image)[1]}"):
        return f"copy {default.image} there, or correct airis:registry.mirror"
    return f"use {default.image}, the default of airis:{default.key}"


def default_of(image: str, pod: Mapping[str, Any]) -> Default | None:
    """The default of the setting that `image` comes from; None for a container added by the stack file's `transform`."""
    containers = pod["spec"].get("containers") or []
    if containers and containers[0].get("image") != image:  # the component's container is the first
        return None
    match (pod["metadata"].get("labels") or {}).get(_APPLICATION):
        case "open-webui":
            return Default("webui.image", WebUISettings().image)
        case "ollama":
            amd = image.endswith("-rocm") or any(
                resource.startswith("amd.com/")
                for each in containers
                for resource in (each.get("resources") or {}).get("limits") or {}
            )
            settings = OllamaSettings.model_validate({"gpu": {"vendor": "amd"}} if amd else {})
            return Default("ollama.image", settings.image)
        case "redis":
            return Default("webui.redis.bundled.image", RedisServerSettings().image)
    return None
