"""Settings of who may sign in to the WebUI, and how."""

from settings.variables import VariableSettings


class AuthSettings(VariableSettings):
    """Signing in."""
