"""`airis:base`, and commands on several stacks."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from airis.rehearse.rehearsal import rehearse_stacks
from airis.render import manifest, program
from airis.render.check import check_stack
from airis.render.many import for_each
from airis.render.objects import rendered
from airis.stack_file.stacks import StackFile, read_stack, read_stacks
from airis.terminal.errors import AirisError
from settings import SettingsError, load

pytestmark = pytest.mark.timeout(120)

BASE = {"airis:webui": {"image": "registry.example.org/webui:1.2.3", "resources": {"limits": {"memory": "3Gi"}}}}


@pytest.fixture
def base(project: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Writes the shared file of the project."""

    def write(config: Mapping[str, Any], **others: Any) -> Path:
        path = project / "bases" / "department.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({"config": dict(config), **others}))
        return path

    return write


def tenant(project: Path, name: str, **config: Any) -> StackFile:
    body = {"airis:base": "bases/department.yaml", "airis:namespace": name}
    body |= {f"airis:{key}": value for key, value in config.items()}
    (project / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": body}))
    return read_stack(name, project)


def refused(project: Path, **config: Any) -> str:
    stack = tenant(project, "one", **config)
    with pytest.raises(SettingsError) as caught:
        load(stack.config, source=stack.path.name, root=project)
    return str(caught.value)


def test_the_stacks_settings_override_the_shared_ones_at_every_depth(
    project: Path, base: Callable[[Mapping[str, Any]], Path]
) -> None:
    base({**BASE, "airis:labels": {"team": "a", "cost": "1"}, "airis:ingress": {"host": "shared.example.org"}})
    stack = tenant(
        project, "one", webui={"resources": {"limits": {"cpu": "3"}}}, labels={"team": "b"}, ingress={"host": None}
    )
    settings = load(stack.config, source="Pulumi.one.yaml", root=project)
    assert settings.webui.image == "registry.example.org/webui:1.2.3"
    assert settings.webui.resources.limits.memory == "3Gi"
    assert settings.webui.resources.limits.cpu == "3"
    assert dict(settings.labels) == {"team": "b", "cost": "1"}
    assert settings.ingress.host is None
    assert settings.namespace == "one"


def test_the_program_reads_the_shared_settings(project: Path, base: Callable[[Mapping[str, Any]], Path]) -> None:
    base(BASE)
    (deployment,) = [
        manifest.manifest(each) for each in program.run(tenant(project, "one")).objects if each.kind == "Deployment"
    ]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.org/webui:1.2.3"
    assert deployment["metadata"]["namespace"] == "one"


def test_an_error_names_the_file_that_sets_the_value(project: Path, base: Callable[[Mapping[str, Any]], Path]) -> None:
    base({"airis:webui": {"replicas": "many"}})
    told = refused(project, ollama={"replicas": "more"})
    assert 'airis:webui.replicas (from bases/department.yaml)\n    given    "many"' in told
    assert 'airis:ollama.replicas\n    given    "more"' in told
    assert "airis:webui.replicas (from" not in refused(project, webui={"replicas": "few"})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"airis:secrets": {"sessionKey": "x" * 40}}, "without airis:secrets"),
        ({"airis:cluster": {"context": "prod"}}, "without airis:cluster"),
        ({"airis:base": "bases/other.yaml"}, "without airis:base"),
        ({"kubernetes:context": "prod"}, "without kubernetes:context"),
        ({"airis:webui": {"env": {"A": {"secure": "AAAA"}}}}, "without encrypted values (airis:webui has one)"),
    ],
)
def test_stack_specific_keys_may_not_be_shared(
    config: dict[str, Any], told: str, project: Path, base: Callable[[Mapping[str, Any]], Path]
) -> None:
    base(config)
    assert told in refused(project)


def test_an_invalid_shared_file_is_refused(project: Path, base: Callable[[Mapping[str, Any]], Path]) -> None:
    assert "department.yaml: No such file" in refused(project)
    path = base({})
    path.write_text("config: {a: 1, a: 2}")
    assert "department.yaml:1:16: duplicate key 'a'" in refused(project)
    path.write_text("webui: {}")
    assert "a file with `config:`" in refused(project)
    for outside in ("../base.yaml", "/etc/base.yaml", "bases/base.txt", ""):
        assert "a YAML file of the project" in refused(project, base=outside)
    assert "text" in refused(project, base=["bases/department.yaml"])


def test_several_stacks_and_patterns(project: Path) -> None:
    for name in ("dept-a", "dept-b", "other"):
        tenant(project, name)
    names = [each.name for each in read_stacks(["dept-*", "dept-a", "cpu"], project)]
    assert names == ["dept-a", "dept-b", "cpu"]
    with pytest.raises(AirisError, match="no stack matches 'team-\\*'"):
        read_stacks(["cpu", "team-*"], project)
    with pytest.raises(AirisError, match="there is no stack 'nope'"):
        read_stacks(["nope"], project)


def test_several_processes_give_the_same_results(project: Path, base: Callable[[Mapping[str, Any]], Path]) -> None:
    base(BASE)
    stacks = [tenant(project, f"dept-{number}") for number in range(5)]
    apart = for_each(stacks, rendered, "Rendering", processes=2)
    assert apart == for_each(stacks, rendered, "Rendering", processes=1)
    assert [f"namespace: dept-{number}" in each.yaml for number, each in enumerate(apart)] == [True] * 5
    assert for_each(stacks, check_stack, "Checking", processes=2)[0].broken == ()


def test_every_invalid_stack_is_named(project: Path, base: Callable[[Mapping[str, Any]], Path]) -> None:
    base({})
    stacks = [tenant(project, "good"), tenant(project, "bad", typo={}), tenant(project, "worse", replicas=1)]
    for processes in (1, 2):
        with pytest.raises(AirisError) as caught:
            for_each(stacks, rendered, "Rendering", processes=processes)
        told = str(caught.value)
        assert "2 of 3 stacks are invalid" in told
        assert "Pulumi.bad.yaml" in told
        assert "Pulumi.worse.yaml" in told
        assert "Pulumi.good.yaml" not in told


def test_stacks_with_the_same_objects_are_not_rehearsed_together(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(AirisError, match="stacks cpu and gpu both have") as caught:
        rehearse_stacks(["cpu", "gpu"], None, timeout_seconds=1)
    assert "airis:namespace" in caught.value.remedy
    with pytest.raises(AirisError, match="one stack at a time"):
        rehearse_stacks(["cpu", "gpu"], None, timeout_seconds=1, engine=True)


def test_render_and_check_take_patterns(
    project: Path, base: Callable[[Mapping[str, Any]], Path], airis: Callable[..., Any]
) -> None:
    base(BASE)
    for name in ("dept-a", "dept-b"):
        tenant(project, name)
    result = airis("render", "-s", "dept-*")
    namespaces = [each["metadata"]["name"] for each in yaml.safe_load_all(result.stdout) if each["kind"] == "Namespace"]
    assert (result.returncode, namespaces) == (0, ["dept-a", "dept-b"])
    assert result.stderr.count("note:") == 1
    checked = airis("check", "-s", "dept-*")
    assert (checked.returncode, checked.stdout.count("ok: stack dept-")) == (0, 2)


def test_the_shared_file_is_not_a_stack(project: Path, base: Callable[[Mapping[str, Any]], Path]) -> None:
    base(BASE)
    with pytest.raises(AirisError, match="there is no stack 'department'"):
        read_stack("department", project)
    assert json.dumps("bases/department.yaml") not in json.dumps([each.name for each in read_stacks(["*"], project)])
