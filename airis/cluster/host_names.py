"""Resolves host names on this machine."""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial

from airis.cluster import in_time

_DNS_SECONDS = 5.0


def resolved(names: Iterable[str]) -> dict[str, Sequence[str]]:
    """The addresses of host names, from this machine's resolver; empty if it does not answer in time."""
    asked = [each for each in dict.fromkeys(names) if not _is_address(each)]
    found = in_time.answers({host: partial(_addresses, host) for host in asked}, _DNS_SECONDS)
    return {host: found.get(host, ()) for host in asked}


def _is_address(text: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(text)
        return True
    return False


def _addresses(host: str) -> Sequence[str]:
    try:
        return sorted({str(each[4][0]) for each in socket.getaddrinfo(host, None)})
    except (OSError, UnicodeError):
        return ()
