"""YAML as the Pulumi engine reads it, with errors that name the place."""

from pathlib import Path
from typing import Any

import yaml


class YamlError(ValueError):
    """A file is not YAML, or not such YAML. `place` is `:line:column`, where that is known; `allowed`, what would be right."""

    def __init__(self, place: str, problem: str, allowed: str = "") -> None:
        super().__init__(f"{place}: {problem}")
        self.place = place
        self.problem = problem
        self.allowed = allowed


class _Loader(yaml.SafeLoader):
    """YAML 1.2's few plain types, as the engine's own parser has them; and a key that stands twice is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (as the base class has it)
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag.rpartition(":")[2] in ("null", "int", "float")
            or (tag.endswith(":bool") and first in "tTfF")  # yes, no, on and off are text
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """What the file holds. Raises YamlError for what is not YAML, and for keys that stand twice; OSError if there is none."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        allowed = "the file must be YAML in which every key stands once"
        raise YamlError(place, str(error.problem), allowed) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise YamlError("", f"it is not text in YAML: {error}") from None
