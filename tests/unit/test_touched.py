"""`make quick` runs the tests that a change concerns, and finds them where they are."""

from maintenance.touched import CONCERNED, concerned
from tests.unit.drawing import ROOT


def test_every_row_names_tests_and_files_that_exist() -> None:
    for patterns, tests in CONCERNED:
        assert [each for each in patterns if not any(ROOT.glob(each))] == []
        assert [each for each in tests if not (ROOT / each).exists()] == []


def test_a_change_of_the_program_runs_the_unit_tests_once() -> None:
    assert concerned(["settings/webui/webui.py", "components/webui.py", "tests/unit/test_auth.py"]) == ["tests/unit"]


def test_a_changed_test_is_run_wherever_it_is() -> None:
    assert concerned(["tests/unit/test_auth.py"]) == ["tests/unit/test_auth.py"]
    assert concerned(["tests/rehearsal/test_diff.py"]) == ["tests/rehearsal/test_diff.py"]


def test_a_page_runs_what_checks_pages() -> None:
    assert "tests/docs/test_pages.py" in concerned(["docs/models.md"])


def test_a_deleted_test_and_a_file_without_tests_run_nothing() -> None:
    assert concerned(["tests/unit_of_before/test_gone.py", "schema/stack.schema.json"]) == []
