"""A stranger's first ten minutes: up, an account, a chat, a document, and a restart that loses nothing."""

import pytest
import requests
from socketio.exceptions import ConnectionError as Refused

from tests.cluster import models
from tests.cluster.person import Person
from tests.cluster.stacks import Stack
from tests.cluster.target import Target

HOST = "chat.example.com"
LINE = "The invoice number of the year {0} is {0}-4711 and its sum is {0} euros.\n"


def test_the_first_chat(cluster: Target, stack: Stack) -> None:
    address = cluster.ingress()
    settings = {
        "ingress": {"host": HOST},
        # the tiny model makes no embeddings: documents are kept whole
        "webui": {"env": {"BYPASS_EMBEDDING_AND_RETRIEVAL": "true"}},
    }
    stack.up(**settings)
    models.give(cluster, stack.url("ollama-service"))

    ada = Person(f"http://{address}", HOST)
    ada.wait()
    assert ada.sign_up("ada") == "admin"  # the first account is the administrator's
    with pytest.raises(requests.HTTPError, match="403"):  # and from then on, the administrator decides who may sign up
        Person(f"http://{address}", HOST).sign_up("bob")
    assert ada.models() == [models.NAME]

    # a chat, streamed through the Ingress
    assert len(ada.chat(models.NAME, "Hello")) > 1

    # the websocket, by which a browser gets its answers; another site's pages may not use it
    with ada.connected(origin=f"http://{HOST}") as socket:
        chat, answer = ada.live_chat(socket, models.NAME, "Tell me more")
        assert answer
    with pytest.raises(Refused), ada.connected(origin="http://elsewhere.example.com"):
        pass

    # a document of 5 MiB, uploaded through the Ingress
    text = "".join(LINE.format(year) for year in range(10000, 10000 + 5 * 2**20 // len(LINE)))
    file = ada.upload("invoices.txt", text.encode(), seconds=240)
    assert ada.content(file) == text.encode()

    # a restart, after which people are still signed in and the chat is there
    stack.cluster.run("rollout", "restart", "deployment/airis-deployment")
    stack.cluster.run("rollout", "status", "deployment/airis-deployment", "--timeout=120s", timeout=130)
    ada.wait()
    assert ada.role() == "admin"
    assert chat in ada.chats()
    assert answer in ada.messages(chat).values()
    assert ada.content(file) == text.encode()
    with pytest.raises(requests.HTTPError, match="401"):
        Person(f"http://{address}", HOST).role()
