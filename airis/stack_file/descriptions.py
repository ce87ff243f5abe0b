"""The docstrings below the fields of the settings models: the single source for every key's description."""

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import cast

from settings.types.base import Settings
from settings.types.releases import marks


@cache
def descriptions(model: type[Settings]) -> Mapping[str, str]:
    """Each field's docstring as one line, by the field's name, with the releases that support it.

    Pydantic can do this too (`use_attribute_docstrings`), but at import time, which costs every command 60 ms.
    """
    found: dict[str, str] = {}
    for base in reversed([each for each in model.__mro__ if issubclass(each, Settings)]):
        body = cast(ast.ClassDef, ast.parse(inspect.getsource(base)).body[0]).body
        for field, below in pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
    for key, info in model.model_fields.items():
        for mark in marks(info.metadata):
            applies = " and ".join(f"`{value}`" for value in mark.values) + " applies" if mark.values else "Applies"
            found[key] += f" {applies} only to releases {mark}."
    return found
