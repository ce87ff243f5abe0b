"""What runs in pods to serve the others: DNS and volumes always, an ingress controller and metrics where a story asks."""

from pathlib import Path
from string import Template
from typing import Any

import yaml

from tests.cluster.images import recipes
from tests.cluster.node.daemons import SLOT
from tests.cluster.node.places import DNS

BASE = (recipes.PAUSE, recipes.COREDNS, recipes.LOCAL_PATH, recipes.BUSYBOX)
"""The images that every node needs; the first is the one that containerd itself asks for."""

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
