"""Labels and annotations that tools set, and that a stack file does not repeat."""

from collections.abc import Mapping

_PREFIXES = (
    "kubectl.kubernetes.io/",
    "meta.helm.sh/",
    "helm.sh/",
    "app.kubernetes.io/",
    "pulumi.com/",
    "airis.dev/",
    "deployment.kubernetes.io/",
)


def without_tools(marks: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations, without those that tools set."""
    return {key: value for key, value in marks.items() if key != "app" and not key.startswith(_PREFIXES)}
