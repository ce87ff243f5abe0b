"""What a change does to a stack: `airis diff`, and the same for other parts of the command.

Light to import: what is heavy is imported while the other revision renders already.
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
