"""Converts the environment variables of both containers to settings, with the rules for Open WebUI's and Ollama's variables."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from airis.adopt.cluster import label
from airis.adopt.discovery import Found, Workload
from airis.adopt.draft import Draft, settings_of, settle
from airis.adopt.environment import Config, put, sections_of
from airis.diff.fields import is_credential
from components.exposure import EXPOSURE_VARIABLES, LOCAL_ORIGIN
from components.start import MIGRATIONS, PREPARE
from settings import SettingsError
from settings.ollama.ollama import OllamaSettings
from settings.types.variables import Value, variables
from settings.webui.webui import WebUISettings

_DOMAIN = re.compile(r"\.svc\.([a-z0-9.-]+)(?::\d+)?/?$")

_FOLLOWS = {
    "OLLAMA_HOST": "0.0.0.0:11434",
    "HOME": None,
    "DATA_DIR": None,
    "ENABLE_OPENAI_API": None,
    "ENABLE_OLLAMA_API": None,
}
"""Variables that the stack sets to an equivalent value; None for any value."""

_REDIS = ("ENABLE_WEBSOCKET_SUPPORT", "WEBSOCKET_MANAGER", "REDIS_URL", "WEBSOCKET_REDIS_URL")


def read_environment(draft: Draft, found: Found) -> None:
    """Converts both containers' environment variables. Variables that follow from other settings are handled first."""
    for section, workload in (("airis:webui", found.webui), ("airis:ollama", found.ollama)):
        if workload is None:
            continue
        left = [each for each in _variables(workload) if not _follows(each, draft, found, section)]
        # Of duplicate names, the last one counts, as in a container
        unique = list({each["name"]: each for each in left}.values())
        model = WebUISettings() if section == "airis:webui" else OllamaSettings()
        draft.config[section] = sections_of(
            unique, draft.config[section], model.managed_env, _fits(draft, section), draft.notes
        )
        if workload.container.get("envFrom"):
            names = [str(next(iter(each.values()), {})) for each in workload.container["envFrom"]]
            draft.notes.dropped.append(
                f"{label(workload.body)}: envFrom ({'; '.join(names)}): list each variable in secretEnv or configMapEnv"
            )


def _urls(found: Found) -> list[str]:
    given = {each["name"]: each.get("value", "") for each in found.webui.container.get("env") or []}
    text = given.get("OLLAMA_BASE_URLS") or given.get("OLLAMA_BASE_URL") or ""
    return [each.strip() for each in text.split(";") if each.strip()]


def cluster_domain(found: Found) -> str | None:
    """The cluster's DNS domain in the URLs of Ollama servers; None if they do not show another one than `cluster.local`."""
    return next(filter(None, map(_domain, _urls(found))), None)


def _domain(url: str) -> str | None:
    match = _DOMAIN.search(urlsplit(url).netloc)
    return match[1] if match and match[1] != "cluster.local" else None


def _variables(workload: Workload) -> list[Mapping[str, Any]]:
    """The application's variables. The migration switch comes from the init container that prepares, if there is one."""
    own: list[Mapping[str, Any]] = workload.container.get("env") or []
    for first in workload.pod.get("initContainers") or []:
        if first["name"] == PREPARE:
            migrations = [each for each in first.get("env") or [] if each["name"] == MIGRATIONS]
            return [*(each for each in own if each["name"] != MIGRATIONS), *migrations]
    return own


def _fits(draft: Draft, section: str) -> Callable[[Config, Mapping[str, str]], bool]:
    def fits(tried: Config, wanted: Mapping[str, str]) -> bool:
        try:
            settings = settings_of({**draft.config, section: tried})
        except SettingsError:
            return False
        said: dict[str, Value] = variables(settings.webui if section == "airis:webui" else settings.ollama)
        return all(str(said.get(name)).lower() == value.lower() for name, value in wanted.items())

    return fits


def _follows(each: Mapping[str, Any], draft: Draft, found: Found, section: str) -> bool:
    """Handles a variable that follows from other settings, or needs more than one key. Returns whether it was handled."""
    name, value = each["name"], str(each.get("value", ""))
    if name in _FOLLOWS and (_FOLLOWS[name] is None or value == _FOLLOWS[name]):
        if name == "ENABLE_OPENAI_API" and value.lower() == "false":
            draft.config[section] = put(draft.config[section], "connections.openai", [])
        return True
    if section != "airis:webui" or "valueFrom" in each:
        return False
    if name in ("OLLAMA_BASE_URL", "OLLAMA_BASE_URLS"):
        further = [url for url in _urls(found) if not _is_own(url, found)]
        former = [url.rstrip("/") for url in _urls(found) if url not in further and not _stays(url)]
        for key, urls in (("ollamaUrls", further), ("formerOllamaUrls", former)):
            if urls:
                draft.config[section] = put(draft.config[section], f"connections.{key}", urls)
        return True
    if name in ("OPENAI_API_BASE_URL", "OPENAI_API_BASE_URLS"):
        servers = [{"url": url.strip()} for url in value.split(";") if url.strip()]
        draft.config[section] = put(draft.config[section], "connections.openai", servers)
        return True
    if name in ("OPENAI_API_KEY", "OPENAI_API_KEYS"):
        draft.notes.dropped.append(
            f"variable {name}: put each server's key into a Secret, and its reference into connections.openai[].keyFrom"
        )
        return True
    if name in _REDIS and draft.config[section].get("replicas", 1) <= 1 and not is_credential(name, value):
        if name == "REDIS_URL":
            draft.notes.dropped.append(f"variable {name}: a single replica needs no Redis (airis:webui.redis)")
        return True
    if name in EXPOSURE_VARIABLES:
        _exposure(name, value, draft)
        return True
    return False


def _is_own(url: str, found: Found) -> bool:
    """Whether a URL points to the Ollama that the stack replaces."""
    services = [each["metadata"]["name"] for each in (found.ollama_service,) if each is not None]
    services += [found.ollama.body["metadata"]["name"]] if found.ollama else []
    host = urlsplit(url).hostname or ""
    return found.ollama is not None and any(re.search(rf"(^|\.){re.escape(each)}(\.|$)", host) for each in services)


def _stays(url: str) -> bool:
    """Whether the stack has a Service of the same name, so that the URL still points to Ollama."""
    return (urlsplit(url).hostname or "").partition(".")[0] == "ollama-service"


def _exposure(name: str, value: str, draft: Draft) -> None:
    """The public URL and the additional origins. Secure cookies follow from the URL."""
    ingress = draft.config.get("airis:ingress", {})
    scheme = "https" if "tls" in ingress else "http"
    derived = f"{scheme}://{ingress['host']}" if ingress else None
    if name == "WEBUI_URL" and value.rstrip("/") != derived:
        draft.config["airis:webui"] = {**draft.config["airis:webui"], "url": value.rstrip("/")}
    if name == "CORS_ALLOW_ORIGIN":
        known = {derived, draft.config["airis:webui"].get("url"), LOCAL_ORIGIN}
        further = [each for each in value.split(";") if each and each.rstrip("/") not in known]
        if "*" in further:
            draft.notes.dropped.append(
                "variable CORS_ALLOW_ORIGIN: * would let every page use Open WebUI; list origins in airis:webui.corsOrigins"
            )
        elif further:
            draft.config["airis:webui"] = {**draft.config["airis:webui"], "corsOrigins": further}
    settle(draft)
