"""What a user may configure: frozen models of plain values, without Pulumi or Kubernetes types.

`StackSettings` is the whole of a stack file; `load` reads it. Adding a field to a model is all that a new setting needs
here: the docstring below it becomes its description in Pulumi.yaml and in docs/config.md.
"""

from settings.exposure.gateway import GatewaySettings
from settings.exposure.ingress import IngressSettings
from settings.load import SettingsError, load
from settings.ollama.gpu import GpuSettings
from settings.ollama.ollama import OllamaSettings
from settings.stack import StackSettings
from settings.webui.webui import WebUISettings

__all__ = [
    "GatewaySettings",
    "GpuSettings",
    "IngressSettings",
    "OllamaSettings",
    "SettingsError",
    "StackSettings",
    "WebUISettings",
    "load",
]
