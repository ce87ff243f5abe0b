"""Two scanners on the rendered stacks: docs/security.md justifies all their findings. The reference has many more."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import chain

import pytest
import yaml

from airis.render import manifest
from airis.terminal.errors import EnvironmentProblem
from tests.scanners.scanners import Finding, checkov, kube_score
from tests.unit import kustomize
from tests.unit.drawing import RECOMMENDED, ROOT, committed

pytestmark = pytest.mark.timeout(900)  # the first run installs the scanners, which takes some minutes

PAGE = ROOT / "docs" / "security.md"
HEADING = "\n## Exceptions\n"

REFERENCE = "reference"

Scanner = Callable[[Mapping[str, str]], Iterator[tuple[str, Finding]]]


def exceptions() -> list[tuple[str, ...]]:
    """The rows of the page's table, without code marks."""
    section = PAGE.read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip().replace("`", "") for cell in row) for row in rows[2:]]


@cache
def found(scanner: Scanner) -> Mapping[str, list[Finding]]:
    """The scanner's findings in each committed stack, and in the reference."""
    manifests = {stack: manifest.to_yaml(committed(stack).objects) for stack in RECOMMENDED}
    manifests[REFERENCE] = yaml.safe_dump_all(kustomize.render(kustomize.REFERENCE / "gpu"))
    findings: dict[str, list[Finding]] = {key: [] for key in manifests}
    try:
        for key, finding in scanner(manifests):
            findings[key].append(finding)
    except EnvironmentProblem as problem:
        pytest.skip(f"NOT SCANNED, because {scanner.__name__} cannot be installed here: {problem.message}")
    return findings


@pytest.mark.parametrize("scanner", [checkov, kube_score])
def test_the_page_justifies_exactly_the_findings(scanner: Scanner) -> None:
    stacks = chain.from_iterable(found(scanner)[stack] for stack in RECOMMENDED)
    name = scanner.__name__.replace("_", "-")
    # a Job's name ends with a digest of its content
    named = {each._replace(object=re.sub(r"-\d+-[0-9a-f]{8}$", "", each.object)) for each in stacks}
    assert named == {Finding(*row[:3]) for row in exceptions() if row[0] == name}


def test_every_exception_is_listed_once_with_a_reason() -> None:
    rows = exceptions()
    assert rows
    assert {row[0] for row in rows} == {"checkov", "kube-score"}
    assert all(len(row) == 4 and row[3] for row in rows)
    assert len({row[:3] for row in rows}) == len(rows)


@pytest.mark.parametrize(("scanner", "count"), [(checkov, 30), (kube_score, 15)])
def test_the_reference_has_more_findings(scanner: Scanner, count: int) -> None:
    assert len(found(scanner)[REFERENCE]) == count
