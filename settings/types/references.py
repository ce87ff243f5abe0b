"""References to values that are kept elsewhere: in Secrets and ConfigMaps of the stack's namespace."""

from settings.types.base import Settings
from settings.types.names import Dns1123Subdomain, SecretKey


class SecretKeyRef(Settings):
    """One key of a Secret that exists already in the stack's namespace."""

    name: Dns1123Subdomain
    """The Secret's name."""
    key: SecretKey
    """The key in it."""


class ConfigMapKeyRef(Settings):
    """One key of a ConfigMap that exists already in the stack's namespace."""

    name: Dns1123Subdomain
    """The ConfigMap's name."""
    key: SecretKey
    """The key in it."""
