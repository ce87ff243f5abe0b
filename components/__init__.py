"""What is deployed: one Pulumi component per file. Each is usable on its own in another Pulumi program."""

from components.ollama import Ollama
from components.redis import Redis
from components.webui import WebUI

__all__ = ["Ollama", "Redis", "WebUI"]
