"""Stack files as files: what is missing, empty, or no YAML; and that they mean what the engine takes them to mean."""

import json
from pathlib import Path

import pytest

from airis.stack_file.stacks import StackFile, project_root, read_stack, stack_names
from airis.terminal.errors import AirisError, ExitCode
from tests.unit.conftest import Airis, Command
from tests.unit.drawing import COMMITTED

pytestmark = pytest.mark.timeout(60)


def write(folder: Path, text: str) -> None:
    (folder / "Pulumi.test.yaml").write_text(text, encoding="utf-8")


def read(folder: Path, text: str) -> StackFile:
    write(folder, text)
    return read_stack("test", folder)


def config(folder: Path, text: str) -> object:
    """What `airis:webui` holds in a stack file with that text."""
    return json.loads(read(folder, f"config:\n  airis:webui: {text}\n").config["airis:webui"])


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(AirisError) as caught:
        read(folder, text)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    return str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing\n", "---\n", "config:\n", "config: 5\n", "config: []\n", "- a\n", "a: b\n"]
)
def test_a_file_without_configuration(text: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, text) == (
        "Pulumi.test.yaml: it holds no configuration\n"
        "  it needs at least the line `config: {}`; what it does not say keeps its default"
    )


def test_an_empty_configuration_is_one(tmp_path: Path) -> None:
    assert read(tmp_path, "config: {}\n").config == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config: {a: [1}\n", "Pulumi.test.yaml:1:15: "),
        ("config:\n\ta: 1\n", "Pulumi.test.yaml:2:1: found character '\\t' that cannot start any token"),
        ("config:\n  a: 1\n   b: 2\n", "Pulumi.test.yaml:3:5: mapping values are not allowed here"),
        ("config: {}\n---\nconfig: {}\n", "Pulumi.test.yaml:2:1: but found another document"),
        ("config: {a: {{ b }}}\n", "Pulumi.test.yaml:1:14: a key must be plain text"),
        ("config: {a: *b}\n", "Pulumi.test.yaml:1:13: found undefined alias 'b'"),
        (
            "config: {a: !!python/name:os.system x}\n",
            "Pulumi.test.yaml:1:13: the tag 'tag:yaml.org,2002:python/name:os.system' is not supported",
        ),
        (
            "config: {a: .inf}\n",
            'Pulumi.test.yaml:1:13: .inf is a number that JSON cannot represent: write ".inf" for the text',
        ),
        ("config: {1e3: x}\n", 'Pulumi.test.yaml:1:10: 1e3 is a number in YAML: write "1e3"'),
        ("config: &a {b: *a}\n", "Pulumi.test.yaml:1:9: this alias contains itself"),
        ("config: {<<: 1}\n", "Pulumi.test.yaml:1:14: << requires a mapping, or a list of mappings"),
        ("config: {a: 1}\nconfig: {b: 1}\n", "Pulumi.test.yaml:2:1: duplicate key 'config'"),
        (
            "config:\n  airis:webui:\n    env:\n      A: x\n      B: y\n      A: z\n",
            "Pulumi.test.yaml:6:7: duplicate key 'A'",
        ),
    ],
)
def test_what_is_no_yaml_is_refused_with_line_and_column(text: str, said: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, text).startswith(said)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.test.yaml").write_bytes(b"\xff\xfe\x00config")
    with pytest.raises(AirisError, match=r"^Pulumi\.test\.yaml: it is not YAML text"):
        read_stack("test", tmp_path)


def test_a_key_with_its_prefix_and_without_is_the_same_key_twice(tmp_path: Path) -> None:
    assert refusal(tmp_path, "config:\n  namespace: a\n  airis:namespace: b\n").startswith(
        "Pulumi.test.yaml: airis:namespace stands twice"
    )


def test_a_stack_that_does_not_exist_names_those_that_do(project: Path) -> None:
    with pytest.raises(AirisError) as caught:
        read_stack("gpus", project)
    assert str(caught.value) == (
        f"there is no stack 'gpus': Pulumi.gpus.yaml does not exist\n  the stacks here are: {', '.join(COMMITTED)}"
    )
    with pytest.raises(AirisError, match="the stacks here are: none"):
        read_stack("gpus", project / "..")


def test_the_project_file_is_no_stack(project: Path) -> None:
    assert stack_names(project) == COMMITTED


def test_the_project_is_found_from_a_folder_below_it(project: Path) -> None:
    below = project / "a" / "b"
    below.mkdir(parents=True)
    assert project_root(below) == project.resolve()


def test_a_folder_without_a_project(tmp_path: Path) -> None:
    with pytest.raises(AirisError, match=r"no Pulumi\.yaml here or above"):
        project_root(tmp_path)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("n", "n"),
        ("'true'", "true"),
        ("1", 1),
        ("-1", -1),
        ("1.5", 1.5),
        ("2026-01-01", "2026-01-01 00:00:00 +0000 UTC"),  # a text, which no setting takes
        ("1.0", 1),
        ("1234e56", 1.234e59),
        ("0o14", 12),
        ("1:30", "1:30"),
        ("1_000", 1000),
        ("!!str 5", "5"),
        ("!!float 5", 5),
        ("0.17.4", "0.17.4"),
        ("1Gi", "1Gi"),
    ],
)
def test_plain_values_mean_what_they_mean_to_the_engine(written: str, value: object, tmp_path: Path) -> None:
    assert config(tmp_path, f"\n    a: {written}") == {"a": value}
    assert config(tmp_path, f"\n    - {written}") == [value]


def test_top_level_values_are_handed_over_as_text(tmp_path: Path) -> None:
    stack = read(
        tmp_path, "config:\n  airis:namespace: apps\n  airis:a: 12\n  airis:b: true\n  kubernetes:context: far\n"
    )
    assert stack.config == {"airis:namespace": "apps", "airis:a": "12", "airis:b": "true", "kubernetes:context": "far"}
    assert (stack.name, stack.path, stack.secret_keys) == ("test", tmp_path / "Pulumi.test.yaml", frozenset())


def test_a_key_without_a_prefix_is_the_project_s(tmp_path: Path) -> None:
    assert read(tmp_path, "config: {namespace: apps}\n").config == {"airis:namespace": "apps"}


def test_encrypted_values_are_placeholders_and_their_keys_secret(tmp_path: Path) -> None:
    stack = read(
        tmp_path,
        """
        config:
          airis:a: {secure: v1:abc}
          airis:b: {list: [{inner: {secure: v1:def}}], open: 1}
          airis:c: {secure: v1:ghi, more: 1}
        """,
    )
    assert stack.secret_keys == {"airis:a", "airis:b"}
    assert stack.config["airis:a"] == "[secret]"
    assert json.loads(stack.config["airis:b"]) == {"list": [{"inner": "[secret]"}], "open": 1}
    assert "v1:abc" not in str(stack)
    assert "v1:def" not in str(stack)


@pytest.mark.parametrize(
    ("stack", "text", "said"),
    [
        ("nope", "", "error: there is no stack 'nope': Pulumi.nope.yaml does not exist\n"),
        ("test", "", "error: Pulumi.test.yaml: it holds no configuration\n"),
        ("test", "config: {a", "error: Pulumi.test.yaml:1:11: "),
    ],
    ids=["no such stack", "empty", "no YAML"],
)
def test_the_command_refuses_it_without_a_traceback(
    stack: str, text: str, said: str, project: Path, command: Command
) -> None:
    write(project, text)
    code, out, err = command("render", "--stack", stack)
    assert (code, out) == (1, "")
    assert err.startswith(said)
    assert "Traceback" not in err


def test_the_shell_sees_exit_code_and_message_and_nothing_else(project: Path, airis: Airis) -> None:
    write(project, "config: {airis:webui: {replicas: -1}}")
    ended = airis("render", "--stack", "test")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "error: Pulumi.test.yaml: 1 setting is wrong. Nothing was changed.",
        "  airis:webui.replicas",
        "    given    -1",
        "    allowed  a whole number, at least 0",
    ]
