"""Names in the syntax of Kubernetes, DNS and container registries. On refusal, each type reports what it allows."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from settings.types.base import FrozenMapping

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_LABEL_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_SUBDOMAIN_LENGTH = 253


class Matching:
    """A check that a text matches the pattern as a whole, and its maximum length; `allowed` describes that."""

    def __init__(self, pattern: str, allowed: str, longest: int | None) -> None:
        self.pattern = re.compile(pattern)
        self.allowed = allowed
        self.longest = longest

    def __call__(self, given: str) -> str:
        """The text, unchanged. Raises ValueError with what is allowed."""
        if (self.longest is not None and len(given) > self.longest) or self.pattern.fullmatch(given) is None:
            raise ValueError(self.allowed)
        return given


def matching(pattern: str, allowed: str, *, longest: int | None = _SUBDOMAIN_LENGTH) -> Matching:
    """A check for texts that match the pattern."""
    return Matching(pattern, allowed, longest)


def _host(given: str) -> str:
    """DNS names are case-insensitive, but an Ingress requires lower case. An Ingress refuses IP addresses."""
    return matching(
        rf"(?!\d+(?:\.\d+){{3}}$)(?:\*\.)?{_SUBDOMAIN}",
        "a host name such as chat.example.com, without scheme, port or path; not an IP address",
    )(given.lower().removesuffix("."))


Dns1123Label = Annotated[
    str,
    AfterValidator(
        matching(_LABEL, "a DNS-1123 label: lower-case letters, digits and -, at most 63 characters", longest=63)
    ),
]
"""Name of a namespace or a Service. Source: RFC 1123; Kubernetes, "Object Names and IDs"."""

Dns1123Subdomain = Annotated[
    str,
    AfterValidator(
        matching(_SUBDOMAIN, "a DNS-1123 subdomain: lower-case letters, digits, - and ., at most 253 characters")
    ),
]
"""Name of most objects: Secrets, claims, classes. Source: Kubernetes, "Object Names and IDs"."""

Host = Annotated[str, AfterValidator(_host)]
"""A host name, lower case; a leading `*.` makes it a wildcard."""

LabelKey = Annotated[
    str,
    AfterValidator(
        matching(
            rf"(?:{_SUBDOMAIN}/)?{_LABEL_NAME}",
            "a label key such as nvidia.com/gpu.present: an optional DNS prefix and /, then at most 63 letters, digits, "
            "-, _ or .",
            longest=_SUBDOMAIN_LENGTH + 64,
        )
    ),
]
"""Key of a label, an annotation or a taint. Source: Kubernetes, "Labels and Selectors"."""

LabelValue = Annotated[
    str,
    AfterValidator(
        matching(
            rf"(?:{_LABEL_NAME})?",
            "a label value: at most 63 letters, digits, -, _ or ., beginning and ending with a letter or digit",
            longest=63,
        )
    ),
]
"""Value of a label or a taint."""


def _not_managed(given: Mapping[str, str]) -> Mapping[str, str]:
    """Selectors, policies and standard labels depend on these keys, so settings must not change them."""
    for key in given:
        if key == "app" or key.startswith(("app.kubernetes.io/", "airis.dev/", "pulumi.com/")):
            raise ValueError(f"no {key}: airis sets app, app.kubernetes.io/, airis.dev/ and pulumi.com/ keys itself")
    return given


LabelMapping = Annotated[FrozenMapping[LabelKey, LabelValue], AfterValidator(_not_managed)]
"""Labels of objects, except for those that airis sets itself."""

AnnotationMapping = Annotated[FrozenMapping[LabelKey, str], AfterValidator(_not_managed)]
"""Annotations of objects, except for those that airis sets itself. Values are any text."""

ResourceName = Annotated[
    str,
    AfterValidator(
        matching(
            rf"{_SUBDOMAIN}/{_LABEL_NAME}",
            "an extended resource such as nvidia.com/gpu: a DNS name, / and a name",
            longest=_SUBDOMAIN_LENGTH + 64,
        )
    ),
]
"""Name of an extended resource that a device plugin advertises. Source: Kubernetes, "Extended resources"."""

EnvName = Annotated[
    str,
    AfterValidator(
        matching(r"[A-Za-z_][A-Za-z0-9_]*", "an environment variable's name: letters, digits and _, no leading digit")
    ),
]
"""Name of an environment variable."""

SecretKey = Annotated[
    str,
    AfterValidator(matching(r"[-._A-Za-z0-9]+", "a key of a Secret: letters, digits, -, _ and .")),
]
"""Key in a Secret's data. Source: Kubernetes, "Secrets"."""

_MODEL_PART = r"[A-Za-z0-9_][-A-Za-z0-9_.]{0,79}"

ModelName = Annotated[
    str,
    AfterValidator(
        matching(
            rf"(?:(?:[A-Za-z0-9_][-A-Za-z0-9_.]*(?::\d+)?/)?[A-Za-z0-9_][-A-Za-z0-9_]{{0,79}}/)?{_MODEL_PART}(?::{_MODEL_PART})?",
            "a model such as llama3.2:1b or hf.co/someone/model:tag",
        )
    ),
]
"""A model name, as `ollama pull` accepts it. Source: github.com/ollama/ollama, types/model/name.go."""

_REGISTRY = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?)*(?::\d+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"

ImageReference = Annotated[
    str,
    AfterValidator(
        matching(
            rf"(?:{_REGISTRY}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::[A-Za-z0-9_][-.A-Za-z0-9_]{{0,127}})?"
            r"(?:@sha256:[0-9a-f]{64})?",
            "an image reference such as ollama/ollama:0.34.4 or registry.example.com/team/airis@sha256:...",
            longest=512,
        )
    ),
]
"""A container image. Source: github.com/distribution/reference, reference.go (its grammar)."""


def url_with(*schemes: str, example: str) -> Callable[[str], str]:
    """A check for URLs of these schemes, with a host, without spaces and fragment."""

    def check(given: str) -> str:
        try:
            parts = urlsplit(given)
            valid = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            valid = False
        if not valid or parts.fragment or re.search(r"\s", given):
            raise ValueError(f"a URL such as {example}")
        return given

    return check


HttpUrl = Annotated[str, AfterValidator(url_with("http", "https", example="https://api.example.com/v1"))]
"""An HTTP or HTTPS URL."""

ImagePrefix = Annotated[
    str,
    AfterValidator(
        matching(
            rf"{_REGISTRY}(?:/{_COMPONENT})*",
            "a registry, optionally with a path, such as registry.example.com/mirror; without scheme and trailing /",
        )
    ),
]
"""A registry, optionally with a prefix of its repositories."""
