"""Runs a command with credentials for an OpenTelemetry collector: python3 collector_sign_in.py COMMAND...

Open WebUI 0.12.4 reads user name and password from two variables, and passes them to the exporters as a list of pairs. From
release 1.45 on, the HTTP exporters accept only a mapping, so the server fails at startup (utils/telemetry/setup.py). Every
release reads headers from `OTEL_EXPORTER_OTLP_HEADERS`: this script moves the credential there, and removes the two variables.
"""

import os
import sys
from base64 import b64encode
from collections.abc import MutableMapping
from urllib.parse import quote

USERNAME, PASSWORD, HEADERS = "OTEL_BASIC_AUTH_USERNAME", "OTEL_BASIC_AUTH_PASSWORD", "OTEL_EXPORTER_OTLP_HEADERS"


def sign_in(environment: MutableMapping[str, str]) -> None:
    """Replaces user name and password by a header, in addition to existing headers.

    Values are percent-encoded and names in lower case, as gRPC requires. Source: OpenTelemetry, OTLP exporter configuration.
    """
    username, password = environment.pop(USERNAME, ""), environment.pop(PASSWORD, "")
    if username and password:
        credential = b64encode(f"{username}:{password}".encode()).decode()
        header = f"authorization={quote(f'Basic {credential}', safe='')}"
        environment[HEADERS] = ",".join(each for each in (environment.get(HEADERS), header) if each)


if __name__ == "__main__":
    sign_in(os.environ)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606
