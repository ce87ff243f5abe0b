"""What the program warns of is not told again and again."""

import pytest

from tests.engine.conftest import Project

pytestmark = pytest.mark.timeout(300)

WARNING = "warning: airis:webui.image: registry.example.com/webui:main has a mutable tag"


def test_a_warning_is_told_once_in_one_run(project: Project) -> None:
    project.write("test", {"airis:namespace": "warned", "airis:webui": {"image": "registry.example.com/webui:main"}})

    text = project.done("up", "--stack", "test", "--yes")

    assert "Previewing update" in text
    assert "Updating" in text
    assert text.count(WARNING) == 1

    # Pulumi itself tells a warning as it comes, and once more at the end of each operation
    code, text = project.run("pulumi", "preview", "--stack", "test", "--non-interactive")
    assert code == 0, text
    assert text.count(WARNING) == 2
    assert text.rpartition("Diagnostics:")[2].count(WARNING) == 1
