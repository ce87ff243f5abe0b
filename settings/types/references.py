"""References to values in Secrets and ConfigMaps of the stack's namespace."""

from settings.types.base import Settings
from settings.types.names import Dns1123Subdomain, SecretKey


class SecretKeyRef(Settings):
    """A key of an existing Secret in the stack's namespace."""

    name: Dns1123Subdomain
    """Name of the Secret."""
    key: SecretKey
    """Key in the Secret."""


class ConfigMapKeyRef(Settings):
    """A key of an existing ConfigMap in the stack's namespace."""

    name: Dns1123Subdomain
    """Name of the ConfigMap."""
    key: SecretKey
    """Key in the ConfigMap."""
