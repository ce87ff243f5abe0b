"""Names, labels and annotations that all objects share."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""Tells Pulumi not to wait for an object that the stack does not control, or whose pods it waits for anyway.

Claims: Pulumi's own wait times out on a claim that is bound at the first look. Services: each costs at least 10 s,
and the pods behind it are waited for by their controller. Ingress: many controllers never report an address.
Source: pulumi/pulumi-kubernetes, provider/pkg/await.
"""


def labels(app: str, application: str) -> dict[str, str]:
    """The labels of an object: `app`, which the selectors use, and the recommended `app.kubernetes.io` ones.

    `application` is the software (`open-webui`), `app` this installation of it.
    """
    return {
        "app": app,
        "app.kubernetes.io/name": application,
        "app.kubernetes.io/instance": app,
        "app.kubernetes.io/part-of": "airis",
    }


def selector(app: str) -> LabelSelectorArgs:
    """Selects the pods of an installation. Immutable on a live object, so it never holds more than `app`."""
    return LabelSelectorArgs(match_labels={"app": app})


def metadata(
    name: pulumi.Input[str],
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
) -> ObjectMetaArgs:
    """Metadata of an object with a fixed name."""
    return ObjectMetaArgs(name=name, namespace=namespace, labels=labels, annotations=annotations)
