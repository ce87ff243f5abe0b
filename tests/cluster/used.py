"""A WebUI with a user's data, and checks that it is kept."""

from dataclasses import dataclass, replace

from tests.cluster import models
from tests.cluster.person import Person
from tests.cluster.target import Target

DOCUMENT = b"The invoice number of the year 2026 is 4711.\n"


@dataclass(frozen=True)
class Used:
    """Ada's data: an account, a chat and a document."""

    ada: Person
    chat: str
    messages: dict[str, str]
    """The messages of the chat."""
    file: str

    def assert_kept(self, url: str | None = None) -> None:
        """Asserts that all data is kept, at another address if it has moved, and that the model answers."""
        here = self if url is None else replace(self, ada=self.ada.elsewhere(url))
        here.ada.wait()
        assert here.ada.role() == "admin"
        here.assert_data()
        assert here.ada.chat(models.NAME, "Are you there?")

    def assert_data(self) -> None:
        """Asserts that chat and document are kept, for the signed-in user."""
        assert self.chat in self.ada.chats()
        assert self.ada.messages(self.chat) == self.messages
        assert self.ada.content(self.file) == DOCUMENT


def use(cluster: Target, url: str, ollama: str, origin: str = "") -> Used:
    """Signs Ada up, who chats and uploads at that WebUI, whose Ollama gets a model. `origin` is that of her browser's page."""
    models.give(cluster, ollama)
    ada = Person(url)
    ada.wait()
    assert ada.sign_up() == "admin"
    chat, messages = new_chat(ada, origin)
    return Used(ada, chat, messages, ada.keep("invoice.txt", DOCUMENT))


def new_chat(person: Person, origin: str = "") -> tuple[str, dict[str, str]]:
    """A new chat with an answer: its id, and its messages."""
    with person.connected(origin) as socket:
        chat, answer = person.live_chat(socket, models.NAME, "Hello")
    messages = person.messages(chat)
    assert answer
    assert answer in messages.values()
    return chat, messages
