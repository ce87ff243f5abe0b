"""Runs in a pod of the WebUI with `python3 -c`: queries its health, Ollama's models and loaded models, and disk usage.

Needs only Python's standard library, and writes no files. Prints one line of JSON.
"""

import json
import os
import shutil
import sys
import urllib.request
from pathlib import Path

SECONDS = 5


def asked(url: str) -> tuple[object, str]:
    """The response body, and the error if there was one."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=SECONDS) as answer:
            return json.loads(answer.read() or b"null"), ""
    except Exception as error:  # every error is a result
        return None, f"{type(error).__name__}: {error}"


def models_in(body: object) -> list[dict[str, object]]:
    """The models in a response from Ollama."""
    return body.get("models") or [] if isinstance(body, dict) else []


def main() -> None:
    """Queries the WebUI on the port in the first argument, every Ollama in the environment, and the data volume."""
    said = asked(f"http://127.0.0.1:{sys.argv[1]}/health")
    urls = os.environ.get("OLLAMA_BASE_URLS") or os.environ.get("OLLAMA_BASE_URL") or ""
    servers = {}
    for url in filter(None, (each.strip() for each in urls.split(";"))):
        body, error = asked(f"{url.rstrip('/')}/api/tags")
        loaded, _ = asked(f"{url.rstrip('/')}/api/ps")
        servers[url] = {
            "models": [str(each["name"]) for each in models_in(body)],
            "loaded": [
                {key: each.get(key, 0) for key in ("name", "size", "context_length")} for each in models_in(loaded)
            ],
            "error": error,
        }
    usage = None
    folder = os.environ.get("DATA_DIR", "")
    if folder and Path(folder).is_dir():
        disk = shutil.disk_usage(folder)
        usage = [disk.used, disk.total]
    print(json.dumps({"health": said[1], "ollama": servers, "data": usage}))


if __name__ == "__main__":
    main()
