"""Open WebUI's image, as far as its Python package can stand in for it, and what a browser asks the application."""

from dataclasses import dataclass
from typing import Any

import requests

from tests.app.environment import Environment
from tests.app.pod import Image

_FOLDER = "/opt/open-webui"
"""Where the environment is in the image: users other than root often cannot enter the folder in which it was installed."""

_MODELS = "/app/backend/data/cache"

IMAGE_ENV = {
    "ENV": "prod",
    "PORT": "8080",
    "OLLAMA_BASE_URL": "/ollama",
    "OPENAI_API_BASE_URL": "",
    "OPENAI_API_KEY": "",
    "WEBUI_SECRET_KEY": "",
    "SCARF_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "true",
    "ANONYMIZED_TELEMETRY": "false",
    "WHISPER_MODEL": "base",
    "WHISPER_MODEL_DIR": f"{_MODELS}/whisper/models",
    "RAG_EMBEDDING_MODEL": "sentence-transformers/all-MiniLM-L6-v2",
    "SENTENCE_TRANSFORMERS_HOME": f"{_MODELS}/embedding/models",
    "TIKTOKEN_ENCODING_NAME": "cl100k_base",
    "TIKTOKEN_CACHE_DIR": f"{_MODELS}/tiktoken",
    "HF_HOME": f"{_MODELS}/embedding/models",
    "HOME": "/root",
    "DOCKER": "true",
}
"""The image's own variables, which the pod's override. Source: open-webui/open-webui, Dockerfile."""

PACKAGE_ENV = {"FROM_INIT_PY": "true"}
"""The package has frontend and version inside, the image has them beside the backend (open_webui/env.py)."""

OFFLINE_ENV = {"HF_HUB_OFFLINE": "1"}
"""The one thing that these tests need beyond the rendering: without a network, the download of the embedding model is tried
for a minute before the application starts without it. With this it is given up at once."""


def image(environment: Environment) -> Image:
    """The package as an image: `start.sh` ends in this command when it finds a session key."""
    return Image(
        files={environment.folder: _FOLDER},
        command=[
            *(f"{_FOLDER}/bin/python", "-m", "uvicorn", "open_webui.main:app"),
            *("--host", "0.0.0.0", "--port", IMAGE_ENV["PORT"], "--forwarded-allow-ips", "*", "--workers", "1"),  # noqa: S104
        ],
        workdir="/app/backend",
        env={**IMAGE_ENV, **PACKAGE_ENV, **OFFLINE_ENV},
    )


@dataclass(frozen=True)
class Browser:
    """Asks the application as its first user would."""

    port: int
    email = "first@example.org"
    password = "correct horse battery staple"

    def sign_up(self) -> dict[str, Any]:
        """Creates the account; the answer has the user's role and the session's token."""
        return self._post("signup", name="First", email=self.email, password=self.password)

    def sign_in(self) -> dict[str, Any]:
        return self._post("signin", email=self.email, password=self.password)

    def is_signed_in(self, token: str) -> bool:
        """Whether the application still accepts a session's token."""
        status = self.get("/api/v1/auths/", token).status_code
        assert status in (200, 401), status
        return status == 200

    def get(self, path: str, token: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.get(f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=30)

    def _post(self, action: str, **body: str) -> dict[str, Any]:
        answer = requests.post(f"http://127.0.0.1:{self.port}/api/v1/auths/{action}", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())
