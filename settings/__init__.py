"""What a user may configure: frozen models of plain values, without Pulumi or Kubernetes types.

`StackSettings` is the whole of a stack file; `load` reads it. Adding a field to a model is all that a new setting needs
here: the docstring below it becomes its description in Pulumi.yaml and in docs/config.md.
"""

from settings.gateway import GatewaySettings
from settings.gpu import GpuSettings
from settings.ingress import IngressSettings
from settings.load import SettingsError, load
from settings.ollama import OllamaSettings
from settings.stack import StackSettings
from settings.webui import WebUISettings

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
