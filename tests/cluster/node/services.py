"""System pods of the cluster: always DNS and volumes; an ingress controller and metrics if a story needs them."""

from pathlib import Path
from string import Template
from typing import Any

import yaml

from tests.cluster.images import recipes
from tests.cluster.node.daemons import SLOT
from tests.cluster.node.places import DNS

BASE = (recipes.PAUSE, recipes.COREDNS, recipes.LOCAL_PATH, recipes.BUSYBOX)
"""The images of every node; the first is containerd's pause image."""

_VALUES = {
    "COREDNS": recipes.COREDNS,
    "LOCAL_PATH": recipes.LOCAL_PATH,
    "BUSYBOX": recipes.BUSYBOX,
    "METRICS": recipes.METRICS,
    "TRAEFIK": recipes.TRAEFIK,
    "DNS": DNS,
    "VOLUMES": str(SLOT.run / "volumes"),
}


def manifests(name: str) -> list[dict[str, Any]]:
    """The objects of `<name>.yaml`: `base`, `ingress` or `metrics`."""
    text = Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load_all(Template(text).substitute(_VALUES)))
