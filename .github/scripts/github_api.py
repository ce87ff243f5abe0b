"""GitHub's REST API with nothing but Python: what the workflows' scripts need of it."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

COMMENT_LIMIT = 65_536
"""Characters of a comment or an issue that GitHub takes."""

BOT = "github-actions[bot]"
"""Who writes with a workflow's own token."""

_PAGE = 100
_TIMEOUT_SECONDS = 30


class Api:
    """The API as the runner's environment names it: $GITHUB_API_URL, $GITHUB_REPOSITORY and $GITHUB_TOKEN."""

    def __init__(self) -> None:
        self.repository = os.environ["GITHUB_REPOSITORY"]
        self._url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        self._token = os.environ["GITHUB_TOKEN"]

    def get(self, path: str, **query: str) -> Any:
        """What is at `path` below the repository."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path)

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        """Every item of a list, page by page."""
        number = 1
        while True:
            items = self.get(path, **query, per_page=str(_PAGE), page=str(number))
            yield from items
            if len(items) < _PAGE:
                return
            number += 1

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Makes something."""
        return self._call("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Changes something."""
        return self._call("PATCH", path, body)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  (the runner says where the API is)
            f"{self._url}/repos/{self.repository}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token}",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            raise SystemExit(f"error: {method} {path}: {error.code} {error.reason}: {said}") from None
        except (urllib.error.URLError, TimeoutError) as error:
            raise SystemExit(f"error: {method} {path}: no answer: {error}") from None
