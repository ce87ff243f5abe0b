"""What is deployed: one Pulumi component per file. Each is usable on its own in another Pulumi program."""

import gc

from components.ollama import Ollama
from components.redis import Redis
from components.webui import WebUI

__all__ = ["Ollama", "Redis", "WebUI"]

# The typed Kubernetes modules live as long as the program: without this, they are looked through once more when it ends, which
# takes as long as importing them. Here, because a module runs once however many stacks one process draws
gc.freeze()
