"""`airis adopt`: takes over an existing deployment of Open WebUI and Ollama, with its data, as a stack."""

from airis.adopt.command import adopt

__all__ = ["adopt"]
