"""Settings of the Ollama server itself: how it shares its memory and time."""

from settings.variables import VariableSettings


class OllamaServerSettings(VariableSettings):
    """Ollama's own settings. A bad value would be ignored by Ollama without a word; here it is refused."""
