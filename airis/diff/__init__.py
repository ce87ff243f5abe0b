"""Shows what a change does to a stack: `airis diff`.

Light to import: heavy modules are imported while the other revision already renders.
"""

from airis.diff.model import (
    Action,
    Amount,
    DataNote,
    Diff,
    FieldChange,
    ObjectChange,
    Problem,
    Totals,
)
from airis.diff.revisions import diff_stacks

__all__ = [
    "Action",
    "Amount",
    "DataNote",
    "Diff",
    "FieldChange",
    "ObjectChange",
    "Problem",
    "Totals",
    "diff_stacks",
]
