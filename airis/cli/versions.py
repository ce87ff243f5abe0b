"""The versions of airis, of the images that it deploys, and of the tools that it uses."""

import platform
from importlib.metadata import version

from airis.cluster.programs.binaries import versions as modules
from settings import StackSettings


def versions() -> str:
    """One line for `airis --version`. The images are the defaults."""
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
