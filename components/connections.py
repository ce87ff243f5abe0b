"""Which Ollama servers the WebUI works with: the stack's own, and others."""

from collections.abc import Mapping, Sequence

import pulumi

from settings.webui.connections import ConnectionsSettings


def ollama_variables(
    own: Sequence[pulumi.Input[str]] | None, connections: ConnectionsSettings
) -> Mapping[str, pulumi.Input[str]]:
    """How Open WebUI finds its Ollama servers: `own` ones first, then those of the settings.

    One server goes by `OLLAMA_BASE_URL`; several, separated by semicolons, by `OLLAMA_BASE_URLS`. Where there is none, that
    kind of server is turned off; but `own` None, without any in the settings, leaves the choice to the administrator.
    """
    urls = [*(own or ()), *connections.ollama_urls]
    if not urls:
        return {} if own is None else {"ENABLE_OLLAMA_API": "False"}
    if len(urls) == 1:
        return {"OLLAMA_BASE_URL": urls[0]}
    found = {"OLLAMA_BASE_URLS": pulumi.Output.all(*urls).apply(";".join)}
    embeddings = connections.embeddings
    if embeddings is not None and embeddings.engine == "ollama" and embeddings.url is None:
        # Open WebUI's own default follows from OLLAMA_BASE_URL alone, which is then the image's
        return {**found, "RAG_OLLAMA_BASE_URL": urls[0]}
    return found


def former_variables(connections: ConnectionsSettings) -> Mapping[str, str]:
    """What tells the container that prepares the database which servers of before the others replace (prepare.py)."""
    former = connections.former_ollama_urls
    return {"AIRIS_FORMER_OLLAMA_URLS": ";".join(former)} if former else {}
