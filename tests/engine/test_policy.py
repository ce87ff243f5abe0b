"""The policy pack with the real engine; `airis check` runs the same rules without it."""

import pytest

from tests.engine.conftest import Project

pytestmark = pytest.mark.timeout(300)

GPU = {"airis:ollama": {"gpu": {"count": 1}}}
NO_LIMIT = {"airis:ollama": {"resources": {"limits": {"cpu": None}}}}


def test_the_policy_pack_accepts_a_compliant_stack_and_refuses_another(project: Project) -> None:
    code, text = project.run("pulumi", "stack", "init", "policy", "--non-interactive")
    assert code == 0, text
    preview = ("pulumi", "preview", "--stack", "policy", "--policy-pack", "policy", "--non-interactive")

    project.write("policy", GPU)
    code, text = project.run(*preview)
    assert code == 0, text
    assert "Policies:" in text

    project.write("policy", NO_LIMIT)
    code, text = project.run(*preview)
    assert code != 0
    assert "[mandatory]" in text
    assert "resource-limits" in text
