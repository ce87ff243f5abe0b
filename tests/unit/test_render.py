"""What `airis render` prints, and that one run of the program leaves nothing to the next."""

import base64
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from airis.render import program
from airis.render.manifest import in_order, manifest, to_yaml
from airis.render.program import KubernetesObject, Rendering, Secret
from airis.terminal.errors import AirisError
from tests.unit.conftest import Airis, Command
from tests.unit.drawing import COMMITTED, committed, draw, draw_program

pytestmark = pytest.mark.timeout(60)

HANGS = """
    import pulumi
    from pulumi_kubernetes.core.v1 import ConfigMap

    never = pulumi.Output.from_input(__import__("asyncio").Event().wait())
    ConfigMap("waits", data={"a": never})
"""


MUTABLE = "warning: airis:ollama.image: ollama/ollama:latest has a mutable tag: pin a release or a digest"
OBJECTS = 14
"""How many a stack with only the defaults has."""


def an_object(kind: str, name: str = "a", **fields: object) -> KubernetesObject:
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}
    return KubernetesObject(body, "", protect=False, retain=False)


def test_two_runs_print_the_same_bytes_sorted_and_without_colour(airis: Airis) -> None:
    with ThreadPoolExecutor() as both:
        one, other = both.map(lambda _: airis("render", "--stack", "reference"), range(2))
    assert one.returncode == other.returncode == 0
    assert one.stdout == other.stdout
    assert one.stderr == other.stderr
    *warnings, note = one.stderr.splitlines()
    assert MUTABLE in warnings
    assert note.startswith("note: Secret/airis-secrets reads [secret] here.")
    assert "\x1b" not in one.stdout
    assert MUTABLE not in one.stdout
    assert one.stdout == to_yaml(committed("reference").objects)


@pytest.mark.parametrize("stack", COMMITTED)
def test_what_others_need_comes_first(stack: str) -> None:
    documents = list(yaml.safe_load_all(to_yaml(committed(stack).objects)))
    kinds = [each["kind"] for each in documents]
    assert kinds[0] == "Namespace"
    assert kinds.index("PersistentVolumeClaim") < kinds.index("StatefulSet") < kinds.index("Deployment")
    assert max(at for at, kind in enumerate(kinds) if kind == "Service") < kinds.index("StatefulSet")
    assert kinds[-1] == "Ingress"
    for kind in set(kinds):
        names = [each["metadata"]["name"] for each in documents if each["kind"] == kind]
        assert names == sorted(names)


@pytest.mark.parametrize("stack", COMMITTED)
def test_the_text_holds_the_objects(stack: str) -> None:
    drawn = committed(stack)
    assert list(yaml.safe_load_all(to_yaml(drawn.objects))) == [manifest(each) for each in in_order(drawn.objects)]


def test_the_order_does_not_depend_on_the_order_of_registration() -> None:
    objects = [*committed("gpu").objects, an_object("Zebra"), an_object("Apple"), an_object("Secret")]
    assert to_yaml(objects) == to_yaml(reversed(objects))
    assert [each.kind for each in in_order(objects)][-2:] == ["Apple", "Zebra"]


def test_whole_numbers_are_integers_and_text_stays_text() -> None:
    text = to_yaml(committed("gpu").objects)
    assert "port: 8080\n" in text
    assert "replicas: 1\n" in text
    assert "nvidia.com/gpu: '1'" in text
    assert ".0\n" not in text


def test_a_secret_s_values_are_not_printed_unless_asked_for() -> None:
    encoded = base64.b64encode(b"hunter2").decode()
    secret = an_object("Secret", stringData={"password": "hunter2"}, data={"token": encoded}, type="Opaque")
    hidden = to_yaml([secret])
    assert "hunter2" not in hidden
    assert encoded not in hidden
    body = yaml.safe_load(hidden)
    assert body["stringData"] == {"password": "[secret]"}
    assert base64.b64decode(body["data"]["token"]) == b"[secret]"
    assert body["type"] == "Opaque"
    assert yaml.safe_load(to_yaml([secret], show_secrets=True)) == secret.manifest


def test_a_marked_value_is_not_printed_anywhere_unless_asked_for() -> None:
    marked = an_object("ConfigMap", data={"list": ["open", Secret("hunter2")], "deep": {"a": Secret({"b": "hunter2"})}})
    assert "hunter2" not in to_yaml([marked])
    assert "hunter2" not in repr(marked)
    assert yaml.safe_load(to_yaml([marked]))["data"] == {"list": ["open", "[secret]"], "deep": {"a": "[secret]"}}
    shown = yaml.safe_load(to_yaml([marked], show_secrets=True))["data"]
    assert shown == {"list": ["open", "hunter2"], "deep": {"a": {"b": "hunter2"}}}


def test_a_secret_that_the_program_makes_is_not_printed(tmp_path: Path) -> None:
    drawn = draw_program(
        tmp_path,
        """
        import pulumi
        from pulumi_kubernetes.core.v1 import ConfigMap, Secret

        value = pulumi.Output.secret("hunter2")
        Secret("a", metadata={"name": "a"}, string_data={"password": "hunter2"})
        ConfigMap("b", metadata={"name": "b"}, data={"password": value, "user": "root"})
        pulumi.export("password", value)
        """,
    )
    assert len(drawn.objects) == 2
    assert "hunter2" not in to_yaml(drawn.objects)
    assert "user: root" in to_yaml(drawn.objects)
    assert to_yaml(drawn.objects, show_secrets=True).count("hunter2") == 2
    assert drawn.exports["password"] == Secret("hunter2")
    assert "hunter2" not in repr(drawn.exports)


def test_no_run_leaves_anything_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG", '{"other:key": "value"}')
    monkeypatch.delenv("PULUMI_CONFIG_SECRET_KEYS", raising=False)
    before, threads = dict(os.environ), threading.active_count()
    gpu = draw(ollama={"gpu": {"count": 2}}, ingress={"host": "chat.example.com"})
    other = draw_program(tmp_path, "import pulumi\npulumi.export('only', 1)\n")
    plain = draw()
    assert len(gpu.objects) == len(plain.objects) + 1
    assert other == Rendering((), {"only": 1})
    assert set(plain.exports) == set(gpu.exports)
    assert plain.exports["gpu"] == {}
    assert dict(os.environ) == before
    assert threading.active_count() == threads


def test_a_refused_stack_leaves_nothing_to_the_next() -> None:
    with pytest.raises(AirisError, match=r"airis:webui\.replicas"):
        draw(webui={"replicas": -1})
    assert len(draw().objects) == OBJECTS


def test_an_error_in_the_program_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        draw_program(tmp_path, "1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        draw_program(
            tmp_path, "import pulumi\npulumi.export('a', pulumi.Output.from_input(0).apply(lambda a: 1 / a))\n"
        )


def test_a_program_that_waits_for_ever_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "TIMEOUT_SECONDS", 0.2)
    threads = threading.active_count()
    with pytest.raises(AirisError, match=r"^Pulumi\.test\.yaml: the program did not end within 0 s$"):
        draw_program(tmp_path, HANGS)
    assert threading.active_count() == threads
    monkeypatch.undo()
    assert len(draw().objects) == OBJECTS


def test_a_program_that_never_comes_back_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(program, "GRACE_SECONDS", 0.1)
    stop = tmp_path / "stop"
    with pytest.raises(AirisError, match=r"^Pulumi\.test\.yaml: the program did not end within 0 s$"):
        draw_program(
            tmp_path,
            f"""
            import pathlib, time

            while not pathlib.Path({str(stop)!r}).exists():
                time.sleep(0.01)
            """,
        )
    monkeypatch.undo()
    assert len(draw().objects) == OBJECTS
    stop.touch()


def test_help_lists_commands_and_exit_codes_without_colour(airis: Airis) -> None:
    shown = airis("--help")
    assert shown.returncode == 0
    for command in ("render", "rehearse", "up", "sandbox"):
        assert f" {command} " in shown.stdout
    for code in (
        "0 all is well",
        "1 a stack",
        "2 the command line",
        "3 it ran",
        "4 this machine",
        "130 interrupted",
    ):
        assert code in " ".join(shown.stdout.split())
    assert "\x1b" not in shown.stdout


@pytest.mark.parametrize("args", [["render"], ["rendr"], ["render", "--stack", "cpu", "--nonsense"]])
def test_a_wrong_command_line_ends_with_2(args: list[str], command: Command) -> None:
    code, out, err = command(*args)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: ")


def test_an_encrypted_stack_is_rendered_with_its_values_hidden(project: Path, command: Command) -> None:
    config = {
        "airis:webui": {"database": {}, "image": "airis:1.2.3"},
        "airis:secrets": {"databaseUrl": {"secure": "v1:abc:def"}},
    }
    (project / "Pulumi.team.yaml").write_text(json.dumps({"config": config}), encoding="utf-8")
    code, out, err = command("render", "--stack", "team")
    assert code == 0
    assert err.startswith("note: Secret/airis-secrets reads [secret] here.")
    assert len(err.splitlines()) == 1
    (secret,) = [each for each in yaml.safe_load_all(out) if each["kind"] == "Secret"]
    assert secret["stringData"] == {"DATABASE_URL": "[secret]", "WEBUI_SECRET_KEY": "[secret]"}
    assert "v1:abc" not in out
    code, out, err = command("render", "--stack", "team", "--show-secrets")
    assert (code, out) == (1, "")
    assert "airis:secrets is encrypted" in err
