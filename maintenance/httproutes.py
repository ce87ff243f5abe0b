"""Generates the sandbox's HTTPRoute definition from a release of the Gateway API: `python -m maintenance.httproutes v1.7.0`."""

import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airis.stack_file.project import project_root
from airis.stack_file.yaml_writer import dump
from maintenance.clients import go_module
from settings.reading.yaml_file import kubectl_documents

FILE = Path("airis") / "rehearse" / "sandbox" / "httproutes.yaml"
MODULE = "sigs.k8s.io/gateway-api"

_SOURCE = "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"
_LEFT_OUT = ("v1beta1",)
_ABOUT = f"""\
# The HTTPRoute of the Gateway API, for the sandbox: no Gateway controller runs there, but the API server checks the routes.
# Source: {MODULE} {{version}}, {_SOURCE} (standard channel).
# Copyright The Kubernetes Authors. Licensed under the Apache License, Version 2.0: http://www.apache.org/licenses/LICENSE-2.0
# Changed: without the descriptions, the definition's own status, and the version {" and ".join(_LEFT_OUT)}.
# Written by `python -m maintenance.httproutes {{version}}`.
"""


def written(definition: Mapping[str, Any], version: str) -> str:
    """The file for the sandbox, from the definition published in that version."""
    found = _without_descriptions(definition)
    found.pop("status", None)  # written by the API server
    found["spec"]["versions"] = [each for each in found["spec"]["versions"] if each["name"] not in _LEFT_OUT]
    return _ABOUT.format(version=version) + dump(found, width=120)


def pinned(root: Path) -> str:
    """The version in the sandbox."""
    (definition,) = kubectl_documents((root / FILE).read_text(encoding="utf-8"))
    return str(definition["metadata"]["annotations"]["gateway.networking.k8s.io/bundle-version"])


def _without_descriptions(value: Any) -> Any:
    """The value without descriptions; a property named `description` is kept."""
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key != "description" or not isinstance(each, str)}
        return {key: _without_descriptions(each) for key, each in kept.items()}
    return [_without_descriptions(each) for each in value] if isinstance(value, list) else value


def main(version: str) -> None:
    """Writes the file from that version of the Go module, verified with Go's checksum database."""
    # Reads the archive, so that it does not need the Go version with which the module would be built
    with zipfile.ZipFile(go_module(MODULE, version)) as archive:
        (definition,) = kubectl_documents(archive.read(f"{MODULE}@{version}/{_SOURCE}").decode())
    (project_root() / FILE).write_text(written(definition, version), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
