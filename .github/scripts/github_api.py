"""A minimal client for GitHub's REST API, for the workflows' scripts. Needs only the standard library."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

COMMENT_LIMIT = 65_536
"""GitHub's limit for the characters of a comment or an issue."""

BOT = "github-actions[bot]"
"""The author of what is written with a workflow's token."""

_PAGE = 100
_TIMEOUT_SECONDS = 30


class Api:
    """The API, configured by the runner's environment: $GITHUB_API_URL, $GITHUB_REPOSITORY and $GITHUB_TOKEN."""

    def __init__(self) -> None:
        self.repository = os.environ["GITHUB_REPOSITORY"]
        self._url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        self._token = os.environ["GITHUB_TOKEN"]

    def get(self, path: str, **query: str) -> Any:
        """Gets `path` below the repository."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path)

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        """All items of a list, page by page."""
        number = 1
        while True:
            items = self.get(path, **query, per_page=str(_PAGE), page=str(number))
            yield from items
            if len(items) < _PAGE:
                return
            number += 1

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Creates a resource."""
        return self._call("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Updates a resource."""
        return self._call("PATCH", path, body)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  (the runner sets the URL)
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
