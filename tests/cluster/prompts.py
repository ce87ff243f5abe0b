"""Requests to a model through Ollama's API: how long the answers take, and whether the model's server survives them."""

import json
import random
import string
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import requests

from tests.cluster import models

_SECONDS = 300.0


class Answer(NamedTuple):
    """The duration of an answer, in seconds."""

    first: float
    """Until the first token."""
    tokens: float
    """For the requested number of tokens, without the first."""


class Stopped(Exception):
    """The server of the model has ended; the text is Ollama's error."""


def ask(url: str, prompt: str, tokens: int = 8, name: str = models.NAME) -> Answer:
    """Requests an answer with that many tokens. Raises Stopped if Ollama reports an error."""
    body: dict[str, Any] = {
        "model": name,
        "prompt": prompt,
        "raw": True,
        "options": {"num_predict": tokens, "temperature": 0},
    }
    begun = time.monotonic()
    first, said = 0.0, {}
    with requests.post(f"{url}/api/generate", json=body, stream=True, timeout=_SECONDS) as answer:
        for line in answer.iter_lines():
            first = first or time.monotonic() - begun
            said = json.loads(line)
            if "error" in said:
                raise Stopped(said["error"])
    return Answer(first, said["eval_duration"] / said["eval_count"] * tokens / 10**9)


def different(length: int) -> Iterator[str]:
    """Prompts of that many characters without common prefixes; the same ones in each run."""
    chance = random.Random(length)  # noqa: S311  (not a secret)
    while True:
        yield "".join(chance.choices(string.ascii_letters, k=length))
