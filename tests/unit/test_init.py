"""`airis init`: what is asked, what is written, and what is not."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from airis.render import program
from airis.stack_file.init.platforms import PLATFORMS
from airis.stack_file.init.questionnaire import QUESTIONS, memory_for, volume_for
from airis.stack_file.schema import REFERENCE_LINE
from airis.stack_file.stacks import read_stack, settings_of
from settings import StackSettings
from settings.pods.gpu_nodes import PRESETS
from settings.reading.yaml_file import read_yaml
from tests.unit.conftest import Command
from tests.unit.drawing import container, manifest, names, pod_spec
from tests.unit.test_stack_schema import wrong

pytestmark = pytest.mark.timeout(60)


class Terminal(io.StringIO):
    """Somebody at a terminal, who types these lines and then closes it."""

    def isatty(self) -> bool:
        return True


class Interrupted(Terminal):
    """Somebody who presses Ctrl-C after these lines."""

    def readline(self, *args: Any) -> str:  # type: ignore[override]
        line = super().readline(*args)
        if not line:
            raise KeyboardInterrupt
        return line


def files(project: Path) -> set[str]:
    return {path.name for path in project.iterdir()} - {"__pycache__"}


def config(project: Path, stack: str) -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(project / f"Pulumi.{stack}.yaml")["config"]
    return found


@pytest.mark.parametrize("gpus", [0, 1])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_renders(platform: str, gpus: int, command: Command, project: Path) -> None:
    options = ["--host", "chat.example.org", "--tls-issuer", "letsencrypt", "--yes"]
    code, out, err = command("init", "--stack", "mine", "--platform", platform, "--gpu", str(gpus), *options)
    assert (code, err) == (0, "")
    assert "Written: Pulumi.mine.yaml" in out
    assert "airis rehearse --stack mine" in out

    text = (project / "Pulumi.mine.yaml").read_text(encoding="utf-8")
    assert text.splitlines()[0] == REFERENCE_LINE
    assert max(map(len, text.splitlines())) <= 120
    assert wrong(read_yaml(project / "Pulumi.mine.yaml")) == []
    drawn = program.run(read_stack("mine", project))
    assert names(drawn, "Ingress") == ["airis-ingress"]
    ollama = manifest(drawn, "StatefulSet", "ollama")
    limits = container(ollama)["resources"]["limits"]
    assert limits.get("nvidia.com/gpu") == ("1" if gpus else None)
    assert pod_spec(ollama).get("runtimeClassName") == ("nvidia" if gpus and platform == "k3s" else None)
    assert "storageClassName" not in ollama["spec"]["volumeClaimTemplates"][0]["spec"]


@pytest.mark.parametrize("vendor", ["nvidia", "amd", "intel"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_vendor_has_nodes_on_every_platform(platform: str, vendor: str, command: Command, project: Path) -> None:
    code, _, err = command(
        "init", "-s", "mine", "--platform", platform, "--gpu", "2", "--vendor", vendor, "--host", "none", "--yes"
    )
    assert (code, err) == (0, "")
    gpu = settings_of(read_stack("mine", project)).ollama.gpu
    assert gpu is not None
    assert (gpu.count, gpu.maker) == (2, vendor)
    own = PLATFORMS[platform].preset
    assert gpu.preset == (own if own is None or (own, vendor) in PRESETS else "device-plugin")
    assert gpu.accelerator == ("nvidia-l4" if (platform, vendor) == ("gke", "nvidia") else None)


def test_k3s_lets_its_traefik_in(command: Command, project: Path) -> None:
    command("init", "-s", "mine", "--platform", "k3s", "--host", "a.example.com", "--yes")
    settings = settings_of(read_stack("mine", project))
    assert settings.ingress.controller == "traefik"
    assert "kube-system" in settings.network.ingress_namespaces
    command("init", "-s", "other", "--platform", "k3s", "--host", "a.example.com", "--controller", "haproxy", "--yes")
    assert settings_of(read_stack("other", project)).network == StackSettings().network


def test_enter_all_the_way_is_a_stack_and_so_is_yes(
    command: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("\n" * len(QUESTIONS)))
    code, out, _ = command("init")
    assert code == 0
    assert "Where does it run" in out
    assert "llama3.2:1b: 1.3GB" in out
    monkeypatch.undo()
    assert command("init", "--stack", "same", "--yes")[0] == 0
    assert config(project, "mine") == config(project, "same")
    settings = settings_of(read_stack("mine", project))
    assert settings.ollama.models == ("llama3.2:1b",)
    assert settings.ollama.gpu is None
    assert names(program.run(read_stack("mine", project)), "Ingress") == ["airis-ingress"]


def test_a_wrong_answer_is_asked_for_again(command: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["a/b", "team", "mars", "kind", "some", "0", "none", "many", "50Gi", *[""] * len(QUESTIONS)]
    monkeypatch.setattr(sys, "stdin", Terminal("\n".join(answers)))
    code, out, _ = command("init")
    assert code == 0
    assert "It must be a stack's name" in out
    assert "It must be one of minikube, kind" in out
    assert "It must be a whole number; 0 for none" in out
    assert "It must be bytes with a Kubernetes suffix" in out
    settings = settings_of(read_stack("team", project))
    assert settings.ollama.models == ()
    assert settings.ollama.storage.size == "50Gi"
    assert settings.ingress.host is None
    assert "port-forward" in (project / "Pulumi.team.yaml").read_text(encoding="utf-8")


def test_what_was_given_is_not_asked(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("\n" * len(QUESTIONS)))
    _, out, _ = command("init", "--stack", "mine", "--platform", "kind", "--sign-up")
    assert "Name of the stack" not in out
    assert "Where does it run" not in out
    assert "GPUs of the Ollama pod" in out
    assert "Who made the GPUs" not in out
    assert "account" not in out


@pytest.mark.parametrize("typed", ["", "mine\n", "mine\nkind\n1\n"])
@pytest.mark.parametrize("terminal", [Terminal, Interrupted])
def test_broken_off_leaves_no_file(
    terminal: type[Terminal], typed: str, command: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(project)
    monkeypatch.setattr(sys, "stdin", terminal(typed))
    code, _, err = command("init")
    assert code == 130
    assert "Nothing was written." in err
    assert files(project) == before


def test_without_a_terminal_everything_must_be_said(
    command: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(project)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n" * 99))
    code, out, err = command("init", "--stack", "mine", "--gpu", "1")
    assert (code, out) == (1, "")
    assert "--platform, --vendor, --model" in err
    assert "--stack" not in err
    assert "--yes" in err
    assert files(project) == before


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_a_file_that_exists_stays(name: str, command: Command, project: Path) -> None:
    before = (project / f"Pulumi.{name}.yaml").read_bytes()
    code, out, err = command("init", "--stack", name, "--yes")
    assert (code, out) == (1, "")
    assert err.startswith(f"error: Pulumi.{name}.yaml exists, and is never written over\n")
    assert (project / f"Pulumi.{name}.yaml").read_bytes() == before


def test_a_file_that_comes_meanwhile_stays(command: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project / "Pulumi.mine.yaml"

    class Slow(Terminal):
        def readline(self, *args: Any) -> str:  # type: ignore[override]
            path.write_text("config: {}\n", encoding="utf-8")
            return super().readline(*args)

    before = files(project)
    monkeypatch.setattr(sys, "stdin", Slow("\n" * len(QUESTIONS)))
    code, _, err = command("init")
    assert code == 1
    assert "never written over" in err
    assert path.read_text(encoding="utf-8") == "config: {}\n"
    assert files(project) == {*before, path.name}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--platform", "mars"], "--platform mars: not an answer\n  it must be one of minikube"),
        (["--vendor", "amd"], "--vendor amd: it has no effect\n  only together with --gpu"),
        (["--host", "none", "--tls-issuer", "a"], "--tls-issuer a: it has no effect\n  only together with --host"),
        (["--admin-secret", "a/b"], "--admin-secret a/b: it has no effect\n  only together with --admin-email"),
        (["--admin-email", "a@b.c", "--admin-secret", "a"], "--admin-secret a: not an answer"),
        (["--host", "https://a.example.com"], "--host https://a.example.com: not an answer"),
        (["--model", "a b"], "--model a b: not an answer"),
        (["--model", "llama3.2:1b", "--no-model"], "it must be names of models, or none alone"),
        (["--webui-image", "a b"], "--webui-image a b: not an answer"),
        (["--ollama-image", ""], "--ollama-image : not an answer"),
        (["--ollama-storage", "4GB"], "did you mean 4G?"),
        (["--stack", "../a"], "--stack ../a: not an answer"),
        (["--stack", ""], "--stack : not an answer"),
        # Right each for itself, and refused together by the settings
        (["--model", "llama3.1:70b", "--ollama-storage", "1Gi"], "airis:ollama.storage.size"),
        (["--platform", "kind", "--gpu", "1", "--accelerator", "a"], "airis:ollama.gpu.accelerator"),
    ],
)
def test_what_cannot_be_is_refused(options: list[str], said: str, command: Command, project: Path) -> None:
    before = files(project)
    stack = [] if "--stack" in options else ["--stack", "mine"]
    code, out, err = command("init", *stack, *options, "--yes")
    assert (code, out) == (1, "")
    assert said in err
    assert files(project) == before


@pytest.mark.parametrize("gpus", ["0", "1"])
def test_one_small_model_comes_with_its_size_and_can_be_declined(command: Command, project: Path, gpus: str) -> None:
    _, out, _ = command("init", "-s", "mine", "--gpu", gpus, "--yes")
    assert settings_of(read_stack("mine", project)).ollama.models == ("llama3.2:1b",)
    assert "the first up downloads llama3.2:1b: 1.3GB" in out
    assert "llama3.2:1b: 1.3GB" in (project / "Pulumi.mine.yaml").read_text(encoding="utf-8")
    for name, options in {"a": ["--no-model"], "b": ["--model", "none"], "c": ["--model", "NONE"]}.items():
        _, out, _ = command("init", "-s", name, "--gpu", gpus, *options, "--yes")
        assert "downloads" not in out
        assert "models" not in config(project, name)["airis:ollama"]


def test_images_are_written_where_they_differ(command: Command, project: Path) -> None:
    images = [
        "--webui-image",
        "registry.example.com/webui:1.2.3",
        "--ollama-image",
        "registry.example.com/ollama:1.2.3",
    ]
    command("init", "-s", "mine", *images, "--yes")
    settings = settings_of(read_stack("mine", project))
    assert [settings.webui.image, settings.ollama.image] == images[1::2]
    command("init", "-s", "plain", "--yes")
    assert "image" not in {*config(project, "plain")["airis:webui"], *config(project, "plain")["airis:ollama"]}


def test_the_image_for_amd_gpus_is_the_default_there(
    command: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("\n" * len(QUESTIONS)))
    _, out, _ = command("init", "-s", "mine", "--gpu", "1", "--vendor", "amd")
    settings = settings_of(read_stack("mine", project))
    assert settings.ollama.image.endswith("-rocm")
    assert f"Image of Ollama [{settings.ollama.image}]" in out
    assert f"Image of Open WebUI [{settings.webui.image}]" in out
    assert "image" not in config(project, "mine")["airis:ollama"]


@pytest.mark.parametrize("word", ["true", "null", "1e3", "0x1f", "5", "1.5"])
def test_words_that_are_something_else_in_yaml_are_quoted(word: str, command: Command, project: Path) -> None:
    options = ["--storage-class", word, "--ingress-class", word, "--tls-issuer", word, "--host", "a.example.com"]
    models = ["--model", f"{word}:{word}", "--model", word]
    code, _, err = command("init", "-s", "mine", "--platform", "aks", *options, *models, "--yes")
    assert (code, err) == (0, "")
    settings = settings_of(read_stack("mine", project))
    assert settings.ollama.storage.storage_class == settings.webui.storage.storage_class == word
    assert settings.ingress.class_name == word
    assert settings.ingress.tls is not None
    assert settings.ingress.tls.cluster_issuer == word
    assert settings.ollama.models == (f"{word}:{word}", word)


@pytest.mark.parametrize("address", ["a:b@c.d", "#a@b.c", "&a@b.c", "*a@b.c", "'a@b.c", '"a@b.c', "{a}@b.c", "!a@b.c"])
def test_an_address_of_any_characters_stays_itself(address: str, command: Command, project: Path) -> None:
    code, out, err = command("init", "-s", "mine", "--admin-email", address, "--yes")
    assert (code, err) == (0, "")
    admin = settings_of(read_stack("mine", project)).webui.auth.first_admin
    assert admin is not None
    assert (admin.email, admin.password_from.name, admin.password_from.key) == (address, "airis-secrets", "admin")
    assert "pulumi config set --stack mine --secret --path 'airis:secrets.values.admin'" in out


def test_who_may_sign_up(command: Command, project: Path) -> None:
    command("init", "-s", "closed", "--no-sign-up", "--yes")
    assert settings_of(read_stack("closed", project)).webui.auth.sign_up is False
    command("init", "-s", "open", "--yes")
    assert settings_of(read_stack("open", project)).webui.auth.sign_up is True


def test_comments_only_name_pages_that_there_are(command: Command, project: Path) -> None:
    command("init", "-s", "mine", "--platform", "k3s", "--gpu", "1", "--host", "a.example.com", "--yes")
    command("init", "-s", "plain", "--platform", "kind", "--yes")
    root = Path(__file__).parents[2]
    text = "".join((project / f"Pulumi.{name}.yaml").read_text(encoding="utf-8") for name in ("mine", "plain"))
    pages = {word.strip(".,") for word in text.split() if word.startswith("docs/")}
    assert len(pages) > 4
    assert [page for page in pages if not (root / page).is_file()] == []


@pytest.mark.parametrize(
    ("models", "size"),
    [
        ((), "30Gi"),
        (("llama3.2:1b",), "30Gi"),
        (("nobody/knows:1b",), "30Gi"),
        (("llama3.1:70b",), "80Gi"),
        (("llama3.1:70b", "gemma2:27b"), "110Gi"),
    ],
    ids=json.dumps,
)
def test_the_volume_has_room_for_twice_the_models(models: tuple[str, ...], size: str) -> None:
    assert volume_for(models) == size


@pytest.mark.parametrize(
    ("models", "memory"),
    [
        ((), None),
        (("llama3.2:1b",), None),
        (("nobody/knows:1b",), None),
        (("gemma3:12b",), "12Gi"),
        (("gemma3:12b", "llama3.2:1b"), "14Gi"),
    ],
    ids=json.dumps,
)
def test_on_cpu_the_memory_has_room_for_the_models(models: tuple[str, ...], memory: str | None) -> None:
    assert memory_for(models) == memory


@pytest.mark.parametrize("gpu", [0, 1])
def test_a_stack_for_large_models_is_one_that_fits_them(command: Command, project: Path, gpu: int) -> None:
    command("init", "-s", "large", "--model", "gemma3:12b", "--gpu", str(gpu), "--yes")
    limits = settings_of(read_stack("large", project)).ollama.resources.limits
    assert limits.memory == ("4Gi" if gpu else "12Gi")
