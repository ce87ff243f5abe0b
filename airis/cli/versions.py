"""The version of the program, and those of what it deploys and works with."""

import platform
from importlib.metadata import version

from airis.cluster.programs.binaries import versions as modules
from settings import StackSettings


def versions() -> str:
    """One line for `airis --version`. The images are those of a stack that names none."""
    settings = StackSettings()
    parts = (
        f"Open WebUI {settings.webui.image}",
        f"Ollama {settings.ollama.image}",
        f"Pulumi {version('pulumi')}",
        f"Kubernetes provider {version('pulumi-kubernetes')}",
        f"sandbox Kubernetes {modules()['k8s.io/kubernetes'].removeprefix('v')}",
        f"Python {platform.python_version()}",
    )
    return f"airis {version('airis')} ({', '.join(parts)})"
