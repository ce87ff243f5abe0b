"""The first ten minutes of a new user: up, an account, a chat, a document, and a restart without data loss."""

import base64
import os
from pathlib import Path

import pytest
import requests
from socketio.exceptions import ConnectionError as Refused

from tests.cluster import models
from tests.cluster.browser import browser
from tests.cluster.person import Person
from tests.cluster.stacks import Stack
from tests.cluster.target import Target

PICTURE = "AIRIS_TEST_PICTURE"
"""The variable with a file for the screenshot of the chat, such as docs/img/chat.png."""
HOST = "chat.example.com"
LINES = [
    f"The invoice number of the year {year} is {year}-4711 and its sum is {year} euros." for year in range(2000, 2400)
]
_PHOTO = base64.b64encode(os.urandom(5 * 2**20 * 3 // 4))
DOCUMENT = b"<p>" + "\n".join(LINES).encode() + b'</p><img src="data:image/jpeg;base64,' + _PHOTO + b'">'
"""A saved page of 5 MiB, most of which is a photo, as in most documents: each text passage is a call of the embedding model."""


def test_the_first_chat(cluster: Target, stack: Stack, tmp_path: Path) -> None:
    address = cluster.ingress()
    embeddings = {"engine": "ollama", "model": models.EMBEDDER, "batchSize": 64}
    stack.up(ingress={"host": HOST}, webui={"connections": {"embeddings": embeddings}})
    models.give(cluster, stack.url("ollama-service"))
    models.give(cluster, stack.url("ollama-service"), models.EMBEDDER, models.EMBEDDINGS)

    ada = Person(f"http://{address}", HOST)
    ada.wait()
    assert ada.sign_up("ada") == "admin"  # the first account becomes the administrator
    with pytest.raises(requests.HTTPError, match="403"):  # and then sign-up is closed
        Person(f"http://{address}", HOST).sign_up("bob")
    assert sorted(ada.models()) == [models.EMBEDDER, models.NAME]

    # a chat, streamed through the Ingress
    parts = ada.chat(models.NAME, "Hello")
    assert "".join(parts) == models.ANSWER
    assert len(parts) > 1
    log = stack.cluster.run("logs", "ollama-0")  # the model's server logs its settings
    assert "n_threads = 4 " in log  # the CPU limit
    assert "size limit: 341 MiB" in log  # half of half of the memory limit, for three models

    # the websocket, through which a browser gets its answers; pages of other origins cannot use it
    with ada.connected(origin=f"http://{HOST}") as socket:
        chat, answer = ada.live_chat(socket, models.NAME, "Tell me more")
        assert answer == models.ANSWER
    with pytest.raises(Refused), ada.connected(origin="http://elsewhere.example.com"):
        pass

    # a document of 5 MiB, uploaded through the Ingress, and a question about it
    file = ada.upload("invoices.html", DOCUMENT)
    assert ada.content(file) == DOCUMENT
    said, passages = ada.chat_about(file, models.NAME, "What is the sum of the year 2042?")
    assert said == models.ANSWER
    assert passages
    assert all(each.splitlines()[1] in LINES for each in passages)

    # the same in a browser
    with browser(cluster, HOST, address) as page:
        page.sign_in("ada")
        page.ask(models.NAME, "What is a Deployment in Kubernetes?", models.ANSWER)
        page.picture(Path(os.environ.get(PICTURE, tmp_path / "chat.png")))

    # a restart, after which users are still signed in and the chat still exists
    stack.cluster.run("rollout", "restart", "deployment/airis-deployment")
    stack.cluster.run("rollout", "status", "deployment/airis-deployment", "--timeout=120s", timeout=130)
    ada.wait()
    assert ada.role() == "admin"
    assert chat in ada.chats()
    assert answer in ada.messages(chat).values()
    assert ada.content(file) == DOCUMENT
    with pytest.raises(requests.HTTPError, match="401"):
        Person(f"http://{address}", HOST).role()
