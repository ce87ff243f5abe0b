"""The Ollama servers of the WebUI: the stack's own, and others."""

from collections.abc import Mapping, Sequence

import pulumi

from settings.webui.connections import ConnectionsSettings


def ollama_variables(
    own: Sequence[pulumi.Input[str]] | None, connections: ConnectionsSettings
) -> Mapping[str, pulumi.Input[str]]:
    """Variables with the URLs of Ollama servers: `own` ones first, then those of the settings.

    A single server is set in `OLLAMA_BASE_URL`, several in `OLLAMA_BASE_URLS`, separated by semicolons. Without any server,
    Ollama is disabled in the WebUI. If `own` is None and the settings have none, administrators decide.
    """
    urls = [*(own or ()), *connections.ollama_urls]
    if not urls:
        return {} if own is None else {"ENABLE_OLLAMA_API": "False"}
    if len(urls) == 1:
        return {"OLLAMA_BASE_URL": urls[0]}
    found = {"OLLAMA_BASE_URLS": pulumi.Output.all(*urls).apply(";".join)}
    embeddings = connections.embeddings
    if embeddings is not None and embeddings.engine == "ollama" and embeddings.url is None:
        # Open WebUI's default comes from OLLAMA_BASE_URL, which would be the image's
        return {**found, "RAG_OLLAMA_BASE_URL": urls[0]}
    return found


def former_variables(connections: ConnectionsSettings) -> Mapping[str, str]:
    """Variables that tell prepare.py which previous Ollama servers to replace."""
    former = connections.former_ollama_urls
    return {"AIRIS_FORMER_OLLAMA_URLS": ";".join(former)} if former else {}
