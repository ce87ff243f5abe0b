"""A user of Open WebUI, through the API that its own frontend uses.

Source: open-webui 0.12.4, open_webui/main.py, routers/, socket/main.py.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import requests
import socketio

PASSWORD = "Correct-Horse-1"

_SECONDS = 60.0


@dataclass
class Person:
    """A user with a session in the WebUI at `url`. `host` is its name in the Ingress, if `url` is that of an Ingress.

    Every method raises requests.HTTPError with the server's response if the WebUI refuses.
    """

    url: str
    host: str = ""
    session: requests.Session = field(default_factory=requests.Session)
    token: str = ""

    def __post_init__(self) -> None:
        if self.host:
            self.session.headers["Host"] = self.host

    def ask(self, method: str, path: str, **how: Any) -> requests.Response:
        """Sends one request. `how` are arguments of requests; raises HTTPError for a status of 400 and above."""
        answer = self.session.request(method, self.url + path, timeout=how.pop("timeout", _SECONDS), **how)
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:300]}", response=answer)
        return answer

    def wait(self, seconds: float = _SECONDS) -> None:
        """Returns when the WebUI responds: an ingress controller learns of a new pod a moment after it is ready."""
        deadline = time.monotonic() + seconds
        while not self._answers():
            assert time.monotonic() < deadline, f"{self.host or self.url} does not answer after {seconds:g} s"
            time.sleep(0.2)

    def _answers(self) -> bool:
        with suppress(requests.ConnectionError):  # a Service without ready pods refuses connections
            return self.session.get(f"{self.url}/health", timeout=_SECONDS).ok
        return False

    def sign_up(self, name: str = "ada") -> str:
        """Creates an account and signs in; returns the role."""
        return self._signed_in("signup", {"name": name, "email": f"{name}@example.com", "password": PASSWORD})

    def sign_in(self, name: str = "ada") -> str:
        """Signs in; returns the role."""
        return self._signed_in("signin", {"email": f"{name}@example.com", "password": PASSWORD})

    def elsewhere(self, url: str, host: str | None = None) -> "Person":
        """The same session at another address of the WebUI, behind an Ingress if it has a `host`."""
        other = Person(url, self.host if host is None else host)
        other._keep(self.token)
        return other

    def role(self) -> str:
        """The role of the signed-in user."""
        return str(self.ask("GET", "/api/v1/auths/").json()["role"])

    def models(self) -> list[str]:
        """The models to choose from."""
        return [str(each["id"]) for each in self.ask("GET", "/api/models").json()["data"]]

    def chat(self, model: str, text: str) -> list[str]:
        """Asks the model; returns the streamed parts of the answer."""
        return [part for each in self._streamed(model, text) for part in _contents(each)]

    def chat_about(self, file: str, model: str, text: str) -> tuple[str, list[str]]:
        """Asks about an uploaded document; returns the answer, and the passages that the model received."""
        said = list(self._streamed(model, text, files=[{"type": "file", "id": file}]))
        sources = [source for each in said for source in each.get("sources", [])]
        return "".join(part for each in said for part in _contents(each)), [
            passage for source in sources for passage in source["document"]
        ]

    def _streamed(self, model: str, text: str, **more: object) -> Iterator[dict[str, Any]]:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **more}
        with self.ask("POST", "/api/chat/completions", json=body, stream=True) as answer:
            for line in answer.iter_lines():
                _, _, data = line.decode().partition("data: ")
                if data and data != "[DONE]":
                    said = json.loads(data)
                    if "error" in said:
                        raise requests.HTTPError(f"the chat failed: {said['error']}", response=answer)
                    yield said

    @contextmanager
    def connected(self, origin: str = "") -> Iterator[socketio.SimpleClient]:
        """The websocket of a browser with this session. Raises socketio's ConnectionError if it is refused."""
        options = {"host": self.host or None, "origin": origin or None}
        client = socketio.SimpleClient(websocket_extra_options={name: each for name, each in options.items() if each})
        client.connect(
            self.url,
            auth={"token": self.token},
            transports=["websocket"],
            socketio_path="/ws/socket.io",
            wait_timeout=10,
        )
        try:
            yield client
        finally:
            client.disconnect()

    def live_chat(
        self, client: socketio.SimpleClient, model: str, text: str, seconds: float = _SECONDS
    ) -> tuple[str, str]:
        """A new saved chat, whose answer arrives through the websocket; returns the chat's id and the answer."""
        user, assistant = str(uuid4()), str(uuid4())
        message = {"id": user, "parentId": None, "role": "user", "content": text, "models": [model]}
        body = {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "stream": True,
            "session_id": client.sid,
            "parent_id": None,
            "user_message": {**message, "timestamp": int(time.time())},
            "id": assistant,
        }
        chat = str(self.ask("POST", "/api/chat/completions", json=body, timeout=seconds).json()["chat_id"])
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            name, *values = client.receive(timeout=seconds)
            data = values[0].get("data", {}) if name == "events" and values[0].get("chat_id") == chat else {}
            if data.get("type") == "chat:message:error":
                raise AssertionError(f"the chat failed: {data}")
            if data.get("type") == "chat:completion" and data["data"].get("done"):
                return chat, self.messages(chat)[assistant]
        raise AssertionError("the answer did not end")

    def chats(self) -> list[str]:
        """The ids of the saved chats."""
        return [str(each["id"]) for each in self.ask("GET", "/api/v1/chats/").json()]

    def messages(self, chat: str) -> dict[str, str]:
        """The messages of a chat, by their ids."""
        kept = self.ask("GET", f"/api/v1/chats/{chat}").json()["chat"]["history"]["messages"]
        return {key: str(value["content"]) for key, value in kept.items()}

    def keep(self, name: str, content: bytes) -> str:
        """Uploads a document without waiting for its processing; returns its id."""
        sent = {"file": (name, content, "text/plain")}
        return str(self.ask("POST", "/api/v1/files/", params={"process": "false"}, files=sent).json()["id"])

    def upload(self, name: str, content: bytes, seconds: float = 120) -> str:
        """Uploads a document and waits until it is processed; returns its id."""
        answer = self.ask("POST", "/api/v1/files/", files={"file": (name, content, "text/plain")}, timeout=seconds)
        found = str(answer.json()["id"])
        deadline = time.monotonic() + seconds
        while (status := self.ask("GET", f"/api/v1/files/{found}/process/status").json()["status"]) != "completed":
            assert status in ("pending", "processing"), (
                f"{name}: {self.ask('GET', f'/api/v1/files/{found}').json()['data'].get('error')}"
            )
            assert time.monotonic() < deadline, f"{name} is not processed after {seconds:g} s"
            time.sleep(0.5)
        return found

    def content(self, file: str) -> bytes:
        """The content of an uploaded file."""
        return self.ask("GET", f"/api/v1/files/{file}/content").content

    def _signed_in(self, how: str, body: dict[str, str]) -> str:
        answer = self.ask("POST", f"/api/v1/auths/{how}", json=body).json()
        self._keep(str(answer["token"]))
        return str(answer["role"])

    def _keep(self, token: str) -> None:
        self.token = token
        self.session.headers["Authorization"] = f"Bearer {token}"


def _contents(said: dict[str, Any]) -> list[str]:
    parts = (each["delta"].get("content") for each in said.get("choices", []))
    return [each for each in parts if each]
