"""Which cluster `pulumi up` would deploy to, as far as the configuration says."""

import os
from pathlib import Path
from typing import Any

import yaml

from airis.errors import AirisError
from airis.stacks import StackFile

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def configured_cluster(stack: StackFile) -> str | None:
    """A few words on the cluster that the stack would go to, or None where none is configured.

    Looks where the Kubernetes provider looks: the stack's `kubernetes:kubeconfig` and `kubernetes:context`, then
    $KUBECONFIG, ~/.kube/config, and the pod that this runs in. Whether the cluster answers is not asked. Raises
    AirisError when the stack names a context that no kubeconfig has.
    """
    if "kubernetes:kubeconfig" in stack.config:
        return "the kubeconfig in the stack file"
    wanted = stack.config.get("kubernetes:context")
    files = _kubeconfig_files()
    configs = [_read(path) for path in files if path.is_file()]
    contexts = {each["name"]: each for config in configs for each in config.get("contexts") or []}
    if wanted is not None and wanted not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise AirisError(
            f"{stack.path.name}: kubernetes:context is {wanted!r}, which no kubeconfig has",
            f"the contexts are: {known}",
        )
    current = next((config["current-context"] for config in configs if config.get("current-context")), None)
    context = wanted or current
    if context in contexts:
        return f"context {context} ({', '.join(str(path) for path in files if path.is_file())})"
    return "the cluster that this pod runs in" if _SERVICE_ACCOUNT.exists() else None


def _kubeconfig_files() -> list[Path]:
    if value := os.environ.get("KUBECONFIG"):
        return [Path(part) for part in value.split(os.pathsep) if part]
    return [Path.home() / ".kube" / "config"]


def _read(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AirisError(f"{path}: this kubeconfig cannot be read: {type(error).__name__}") from None
    return config if isinstance(config, dict) else {}
