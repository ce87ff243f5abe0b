"""Questions to a model by Ollama's own API: how long the answers take, and whether the model's server lives through them."""

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
    """How long an answer took, in seconds."""

    first: float
    """Until its first token came."""
    tokens: float
    """For as many tokens as were asked for, without the first."""


class Stopped(Exception):
    """The server of the model has ended; the text is what Ollama says."""


def ask(url: str, prompt: str, tokens: int = 8, name: str = models.NAME) -> Answer:
    """Has the model answer with that many tokens. Raises Stopped where Ollama reports an error."""
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
    """Prompts of that many characters that have no beginning in common; the same ones in each run."""
    chance = random.Random(length)  # noqa: S311  (no secret)
    while True:
        yield "".join(chance.choices(string.ascii_letters, k=length))
