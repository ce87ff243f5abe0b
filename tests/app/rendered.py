"""What a stack's pod gives to Open WebUI: its environment, as the kubelet makes it, and its command."""

import re
from collections.abc import Mapping
from typing import Any

from airis import program
from tests.unit import drawing


def key(name: str) -> dict[str, str]:
    """A reference to a Secret."""
    return {"name": name, "key": "value"}


def value(name: str) -> str:
    """What that key of a Secret holds, unless the test says otherwise."""
    return f"{name} value"


def deployment_of(**settings: object) -> Mapping[str, Any]:
    """The Deployment of the stack's WebUI."""
    drawn = program.run(drawing.stack_of(**settings), generate_secrets=True)
    return drawing.manifest(drawn, "Deployment", "airis-deployment")


def environment_of(**settings: object) -> dict[str, str]:
    """The environment of the stack's WebUI."""
    return as_the_kubelet_does(deployment_of(**settings))


def as_the_kubelet_does(workload: Mapping[str, Any], secrets: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment with the values of Secrets, and `$(NAME)` replaced by what stands before it.

    `secrets` are values by the name of their Secret; others are `value(name)`.
    """
    found: dict[str, str] = {}
    for each in drawing.container(workload)["env"]:
        if "valueFrom" in each:
            name = each["valueFrom"]["secretKeyRef"]["name"]
            found[each["name"]] = (secrets or {}).get(name, value(name))
        else:
            found[each["name"]] = re.sub(r"\$\((\w+)\)", lambda at: found.get(at[1], at[0]), each["value"])
    return found
