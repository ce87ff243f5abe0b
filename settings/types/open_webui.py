"""Texts that Open WebUI reads from its environment, checked as its source parses them."""

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from settings.types.names import HttpUrl, matching, url_with

_matching = partial(matching, longest=None)

_EXPANDED = re.compile(r"\$[($]")
"""References that the kubelet expands in a variable's value: `$(NAME)` to another variable, `$$` to `$`."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SHORTEST_SECONDS = 60

NEVER = "-1"
"""An infinite duration."""


def _text(given: str) -> str:
    if not given or given != given.strip() or not given.isprintable() or _EXPANDED.search(given):
        raise ValueError("a text of one line, without leading and trailing spaces, $( and $$")
    return given


def _without(characters: str, allowed: str) -> Callable[[str], str]:
    def check(given: str) -> str:
        if any(character in given for character in characters):
            raise ValueError(allowed)
        return _text(given)

    return check


def _duration(given: str) -> str:
    parts = _DURATION.findall(given)
    whole = "".join(number + unit for number, unit in parts) == given
    if given != NEVER and not (
        whole and sum(float(number) * _SECONDS[unit] for number, unit in parts) >= _SHORTEST_SECONDS
    ):
        raise ValueError('a duration such as 12h, 30m or 1w2d (s, m, h, d, w), at least 1m; or "-1" for no end')
    return given


def _endpoint(given: str) -> str:
    """Open WebUI appends paths to these URLs; lists of them are separated by semicolons."""
    parts = urlsplit(given)
    if given.endswith("/") or parts.query or parts.username is not None or ";" in given or _EXPANDED.search(given):
        raise ValueError("a URL without trailing /, query, user, ; and $(, such as https://api.example.com/v1")
    return given


def _not_below(*ends: str, allowed: str) -> Callable[[str], str]:
    def check(given: str) -> str:
        if urlsplit(given).path.endswith(ends):
            raise ValueError(allowed)
        return given

    return check


def _discovery(given: str) -> str:
    end = "/.well-known/openid-configuration"
    if not urlsplit(given).path.endswith(end) or _EXPANDED.search(given):
        raise ValueError(f"the URL of the provider's discovery document, which ends in {end}")
    return given


def _ldap_filter(given: str) -> str:
    depth, closed_at = 0, 0
    for place, character in enumerate(given):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth <= 0:
            closed_at = place
            break
    if not given.startswith("(") or depth != 0 or closed_at != len(given) - 1:
        raise ValueError("one LDAP filter in parentheses, such as (memberOf=cn=chat,ou=groups,dc=example,dc=com)")
    return _text(given)


def callback(provider: str) -> Callable[[str], str]:
    """A check for the redirect URI of a provider. Source: open_webui/main.py, the routes below /oauth."""
    example = f"https://chat.example.com/oauth/{provider}/login/callback"

    def check(given: str) -> str:
        parts = urlsplit(url_with("http", "https", example=example)(given))
        if not parts.path.endswith((f"/oauth/{provider}/login/callback", f"/oauth/{provider}/callback")) or parts.query:
            raise ValueError(f"a URL such as {example}")
        return given

    return check


Text = Annotated[str, AfterValidator(_text)]
"""A text of one line, which Kubernetes passes unchanged."""

Word = Annotated[str, AfterValidator(_without(" ", "a word, without spaces"))]
"""An item of a list separated by spaces, such as a scope."""

Email = Annotated[
    str,
    AfterValidator(_matching(r"[^@\s,;$]+@[^@\s,;$]+\.[^@\s,;$]+", "an e-mail address such as admin@example.com")),
]
"""An e-mail address, somewhat stricter than Open WebUI's own check (open_webui/utils/misc.py, validate_email_format)."""

Domain = Annotated[
    str,
    AfterValidator(
        _matching(
            r"(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)+",
            "a domain such as example.com, in lower case, without @ or *",
        )
    ),
]
"""Domain of e-mail addresses. Open WebUI compares it with the address in lower case."""

Duration = Annotated[str, AfterValidator(_duration)]
"""A duration. Source: open_webui/utils/misc.py, parse_duration, which ignores what it cannot parse."""

HeaderName = Annotated[
    str, AfterValidator(_matching(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", "an HTTP header such as X-Forwarded-Email"))
]
"""Name of an HTTP header; without `_`, which proxies such as nginx drop."""

Attribute = Annotated[
    str, AfterValidator(_matching(r"[A-Za-z][-A-Za-z0-9]*", "an LDAP attribute such as mail or sAMAccountName"))
]
"""Name of an LDAP attribute. Source: RFC 4512, 1.4 (keystring)."""

LdapFilter = Annotated[str, AfterValidator(_ldap_filter)]
"""An LDAP filter, which is combined with the one for the user's name."""

ServerName = Annotated[
    str,
    AfterValidator(
        _matching(
            r"(?:[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?\.?",
            "a host name or an IPv4 address, without scheme and port",
        )
    ),
]
"""Name or address of a server."""

Tenant = Annotated[
    str, AfterValidator(_matching(r"[A-Za-z0-9]+(?:[-.][A-Za-z0-9]+)*", "a tenant: its ID, a domain, or organizations"))
]
"""A Microsoft Entra tenant."""

FilePath = Annotated[str, AfterValidator(_matching(r"/[-._/A-Za-z0-9]*[-._A-Za-z0-9]", "an absolute path of a file"))]
"""A file in the container."""

DiscoveryUrl = Annotated[HttpUrl, AfterValidator(_discovery)]
"""URL of an OpenID provider's discovery document."""

Endpoint = Annotated[HttpUrl, AfterValidator(_endpoint)]
"""Base URL of a server, to which paths are appended."""

OllamaUrl = Annotated[
    Endpoint,
    AfterValidator(
        _not_below(
            "/api", "/v1", allowed="the server's base URL, such as http://gpu.example.com:11434, without /api or /v1"
        )
    ),
]
"""URL of an Ollama server."""

OpenAiUrl = Annotated[
    Endpoint,
    AfterValidator(
        _not_below(
            *("/chat/completions", "/completions", "/embeddings", "/models", "/responses", "/audio/speech"),
            "/audio/transcriptions",
            allowed="the base URL, such as https://api.example.com/v1: Open WebUI appends the paths",
        )
    ),
]
"""Base URL of an OpenAI-compatible API; most end in /v1."""

ModelPrefix = Annotated[str, AfterValidator(_matching(r"[A-Za-z0-9][-_A-Za-z0-9]*", "letters, digits, - and _"))]
"""Prefix of model names."""
