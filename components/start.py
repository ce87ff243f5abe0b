"""Startup of the WebUI's pods: one pod at a time writes to the database and the volume."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi_kubernetes.core.v1 import ConfigMap, ConfigMapVolumeSourceArgs, VolumeArgs

from components.metadata import Place
from settings.types.images import own_tag
from settings.types.releases import OPEN_WEBUI

SERVER = ("bash", "start.sh")
"""The command of Open WebUI's image, whose working directory is /app/backend. Source: open-webui/open-webui, Dockerfile."""

PREPARE = "prepare"
"""Name of the init container that prepares the database."""
VOLUME, FOLDER = "start", "/etc/airis/start"
"""The volume with the scripts, and where containers mount it."""

_PREPARE, _ONE_PROCESS, _SIGN_IN = "prepare.py", "one_process.py", "collector_sign_in.py"
_LOCK = ".airis-lock"
"""The lock file on the volume. Backups exclude files with this prefix."""

MIGRATIONS = "ENABLE_DB_MIGRATIONS"
"""The variable that enables migrations in a container."""


@dataclass(frozen=True)
class Start:
    """Commands and mounts with which pods start one at a time."""

    prepare: Sequence[str]
    """Command of the init container that prepares the database."""
    serve: Sequence[str] | None
    """Command of the server; None for the image's own."""
    volume: VolumeArgs
    """Volume with the scripts."""
    mounts: Mapping[str, str]
    """Mount path of the scripts in both containers, by the volume's name."""


def start(name: str, folder: str, place: Place, *, one_process: bool, signs_in: bool = False) -> Start:
    """Registers a ConfigMap `<name>-start-<digest>` with the scripts.

    `folder` is the mount path of the data volume, and `one_process` whether only one process may use the volume. `signs_in`
    adds the script for a telemetry collector with authentication. The digest is that of the scripts: running pods keep theirs,
    and changed scripts roll out new pods.
    """
    needed = [_PREPARE, _ONE_PROCESS, *([_SIGN_IN] if signs_in else [])]
    scripts = {each: Path(__file__).with_name(each).read_text(encoding="utf-8") for each in needed}
    digest = hashlib.sha256("".join(scripts.values()).encode()).hexdigest()[:8]
    kept = f"{name}-start-{digest}"
    config_map = ConfigMap(kept, metadata=place.metadata(kept), data=scripts, immutable=True, opts=place.opts)
    alone = ["python3", f"{FOLDER}/{_ONE_PROCESS}", f"{folder}/{_LOCK}"] if one_process else []
    before = [*alone, *(["python3", f"{FOLDER}/{_SIGN_IN}"] if signs_in else [])]
    return Start(
        prepare=[*alone, "python3", f"{FOLDER}/{_PREPARE}"],
        serve=[*before, *SERVER] if before else None,
        volume=VolumeArgs(name=VOLUME, config_map=ConfigMapVolumeSourceArgs(name=config_map.metadata.name)),
        mounts={VOLUME: FOLDER},
    )


def server_variables(image: str) -> Mapping[str, str]:
    """Prevents the server from running migrations under probes that would interrupt them.

    Empty for images other than Open WebUI's: with another layout, nothing is prepared (prepare.py).
    """
    return {} if own_tag(image, OPEN_WEBUI.repository) is None else {MIGRATIONS: "False"}


def is_preparing(pod: Mapping[str, Any]) -> bool:
    """Whether a pod prepares the database, or waits for another pod to do so. False if that has failed before."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    for each in pod.get("status", {}).get("initContainerStatuses", []):
        if each["name"] == PREPARE:
            failed = each.get("lastState", {}).get("terminated", {}).get("exitCode")
            return "running" in each.get("state", {}) and not failed
    return False
