"""Settings of the servers that the WebUI works with: models, retrieval, speech."""

from settings.variables import VariableSettings


class ConnectionsSettings(VariableSettings):
    """Servers beside the stack's own Ollama."""
