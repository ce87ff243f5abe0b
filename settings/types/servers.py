"""Addresses of servers that the WebUI connects to."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt

from settings.types.names import HttpUrl
from settings.types.secrets import URL_WITH_PASSWORD

_LABEL = r"[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_MAX_NAME = 253


def _server_host(given: str) -> str:
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        # `10.0.0.256` is a typo, not a name
        if len(given) <= _MAX_NAME and _NAME.fullmatch(given) and not re.fullmatch(r"[\d.]+", given):
            return given
        raise ValueError(
            "a host name or an IP address, such as postgres.data.svc; without scheme, port or path"
        ) from None


def _without_password(given: str) -> str:
    if URL_WITH_PASSWORD.search(given):
        raise ValueError("no password in plain text: a URL without one, and the reference to a Secret next to it")
    return given


ServerHost = Annotated[str, AfterValidator(_server_host)]
"""Host name or IP address of a server, inside or outside the cluster."""

ServerUrl = Annotated[HttpUrl, AfterValidator(_without_password)]
"""An HTTP or HTTPS URL without a password."""

Port = Annotated[StrictInt, Field(ge=1, le=65535)]
"""A TCP port."""


def in_url(host: str) -> str:
    """A host as in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host
