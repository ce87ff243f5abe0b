"""The questions of `airis init`: their texts, their defaults, and the validation of their answers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from airis.stack_file.init.platforms import PLATFORMS, Platform
from settings.exposure.controllers import Controller
from settings.ollama.model_fit import needed_at_once
from settings.ollama.model_sizes import size_of
from settings.ollama.ollama import OllamaSettings
from settings.pods.gpu_nodes import PRESETS, Vendor
from settings.types.names import Dns1123Subdomain, Host, ImageReference, LabelValue, ModelName, SecretKey
from settings.types.open_webui import Email
from settings.types.quantity import Bytes, as_bytes
from settings.webui.webui import WebUISettings

Answers = Mapping[str, Any]
"""The answers so far, by question."""

NONE = "none"

SMALL_MODEL = "llama3.2:1b"
"""A model for the first chat, with or without a GPU: it is a small download, fits Ollama's default limits on CPU, and supports
tool calls.

By default, Open WebUI 0.12.4 sends its tools with a chat (open_webui/main.py, function_calling), and Ollama rejects such a
request for a model without tool support, such as gemma3:1b (github.com/ollama/ollama, server/images.go, CheckCapabilities).
"""

_GI = 2**30
_STACK = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,98}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Question:
    """One question. Its name is the name of the option that answers it."""

    name: str
    text: str
    default: Callable[[Answers], str]
    check: Callable[[str], Any]
    """Converts the answer to a value. Raises ValueError with what is allowed."""
    applies: Callable[[Answers], bool] = lambda answers: True
    """Whether the question applies after these answers."""
    because: str = ""
    """The option that makes it apply."""
    asked: Callable[[Answers], bool] = lambda answers: True
    """Whether to ask it. Otherwise the default applies, unless the option is given."""


def platform_of(answers: Answers) -> Platform:
    """The platform that was chosen."""
    return PLATFORMS[answers["platform"]]


def _one_of(*allowed: str) -> Callable[[str], str]:
    def check(given: str) -> str:
        if given.lower() not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return given.lower()

    return check


def _fits(kind: Any) -> Callable[[str], Any]:
    """Validates with the type of a setting."""

    def check(given: str) -> Any:
        try:
            return TypeAdapter(kind).validate_python(given)
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None

    return check


def _or_none(check: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda given: None if _is_none(given) else check(given)


def _is_none(given: str) -> bool:
    return given.lower() in ("", NONE)


def _stack(given: str) -> str:
    if _STACK.fullmatch(given) is None:
        raise ValueError("a stack name: letters, digits, -, _ and ., at most 100 characters")
    return given


def _count(given: str) -> int:
    if not (given.isascii() and given.isdecimal()):
        raise ValueError("a whole number; 0 for none")
    return int(given)


def _models(given: str) -> tuple[str, ...]:
    names = [] if _is_none(given) else [each.strip() for each in given.split(",")]
    if any(map(_is_none, names)):
        raise ValueError(f"model names, or only {NONE}")
    return tuple(dict.fromkeys(_fits(ModelName)(each) for each in names))


def _yes_or_no(given: str) -> bool:
    return _one_of("yes", "no", "y", "n")(given).startswith("y")


def _secret(given: str) -> tuple[str, str]:
    name, _, key = given.partition("/")
    if not key:
        raise ValueError("a Secret and a key in it, such as airis-secrets/admin")
    return _fits(Dns1123Subdomain)(name), _fits(SecretKey)(key)


def sizes(models: tuple[str, ...]) -> str:
    """The download size of each model, if known: `llama3.2:1b: 1.3GB`."""
    return ", ".join(f"{each}: {size.printed if (size := size_of(each)) else 'unknown size'}" for each in models)


def webui_image() -> str:
    """The default image of Open WebUI."""
    return str(WebUISettings().image)


def ollama_image(answers: Answers) -> str:
    """The default image of Ollama, which depends on the GPU vendor."""
    return str(OllamaSettings.model_validate({"gpu": {"vendor": answers["vendor"]}} if answers["gpu"] else {}).image)


def volume_for(models: tuple[str, ...]) -> str:
    """A volume size for these models: twice their known sizes, in steps of 10 GiB, and at least the default."""
    known = sum(size.bytes for each in models if (size := size_of(each)) is not None)
    default = OllamaSettings.model_fields["storage"].default.size
    needed = -(-2 * known // (10 * _GI)) * 10
    return str(default) if needed * _GI <= as_bytes(default) else f"{needed}Gi"


def memory_for(models: tuple[str, ...]) -> str | None:
    """A memory limit for these models on CPU, plus a quarter for prompts. None if the default is enough for the known sizes."""
    default = OllamaSettings.model_fields["resources"].default.limits.memory
    unlimited = {"limits": {"memory": None}}
    settings = OllamaSettings.model_validate(
        {"models": models, "resources": unlimited, "storage": {"size": volume_for(models)}}
    )
    needed = -(-5 * needed_at_once(settings, 0) // (4 * _GI))
    return None if needed * _GI <= as_bytes(default) else f"{needed}Gi"


def _accelerator(answers: Answers) -> str | None:
    """The GPU model to suggest, if the platform's preset requires one."""
    nodes = PRESETS.get((platform_of(answers).preset_for(answers["vendor"]) or "gpu-operator", answers["vendor"]))
    return nodes.model_required if nodes else None


def _has_gpu(answers: Answers) -> bool:
    return bool(answers["gpu"])


def _has_host(answers: Answers) -> bool:
    return answers["host"] is not None


QUESTIONS = (
    Question("stack", "Name of the stack", lambda answers: "mine", _stack),
    Question(
        "platform", f"Kubernetes platform ({', '.join(PLATFORMS)})", lambda answers: "minikube", _one_of(*PLATFORMS)
    ),
    Question("gpu", "GPUs of the Ollama pod; 0 for none", lambda answers: "0", _count),
    Question(
        "vendor",
        f"GPU vendor ({', '.join(get_args(Vendor))})",
        lambda answers: "nvidia",
        _one_of(*get_args(Vendor)),
        applies=_has_gpu,
        because="--gpu",
    ),
    Question(
        "accelerator",
        "GPU model, as in the node labels",
        lambda answers: _accelerator(answers) or NONE,
        _or_none(_fits(LabelValue)),
        applies=_has_gpu,
        because="--gpu",
        asked=lambda answers: _accelerator(answers) is not None,
    ),
    Question(
        "model",
        f"Models to pull, comma-separated; {NONE} for none ({sizes((SMALL_MODEL,))}, runs without a GPU)",
        lambda answers: SMALL_MODEL,
        _models,
    ),
    Question(
        "ollama-storage", "Size of the volume for models", lambda answers: volume_for(answers["model"]), _fits(Bytes)
    ),
    Question(
        "webui-storage",
        "Size of the volume for chats and uploads",
        lambda answers: str(WebUISettings.model_fields["storage"].default.size),
        _fits(Bytes),
    ),
    Question(
        "storage-class",
        f"StorageClass of both volumes; {NONE} for the cluster's default",
        lambda answers: NONE,
        _or_none(_fits(Dns1123Subdomain)),
        asked=lambda answers: not platform_of(answers).has_storage_class,
    ),
    Question(
        "host",
        f"Host name of the Ingress; {NONE} for no Ingress",
        lambda answers: platform_of(answers).host or NONE,
        _or_none(_fits(Host)),
    ),
    Question(
        "controller",
        f"Ingress controller ({', '.join(get_args(Controller))}, {NONE} for another)",
        lambda answers: platform_of(answers).controller or NONE,
        _or_none(_one_of(*get_args(Controller))),
        applies=_has_host,
        because="--host",
        asked=lambda answers: platform_of(answers).controller is None,
    ),
    Question(
        "ingress-class",
        f"IngressClass; {NONE} for the cluster's default",
        lambda answers: NONE,
        _or_none(_fits(Dns1123Subdomain)),
        applies=_has_host,
        because="--host",
        asked=lambda answers: False,
    ),
    Question(
        "tls-issuer",
        f"cert-manager's ClusterIssuer for the certificate; {NONE} for plain HTTP",
        lambda answers: NONE,
        _or_none(_fits(Dns1123Subdomain)),
        applies=_has_host,
        because="--host",
    ),
    Question("webui-image", "Image of Open WebUI", lambda answers: webui_image(), _fits(ImageReference)),
    Question("ollama-image", "Image of Ollama", ollama_image, _fits(ImageReference)),
    Question("sign-up", "Allow users to sign up (yes, no)", lambda answers: "yes", _yes_or_no),
    Question(
        "admin-email",
        f"E-mail address of the first administrator; {NONE} for the first user who signs up",
        lambda answers: NONE,
        _or_none(_fits(Email)),
    ),
    Question(
        "admin-secret",
        "Secret and key of the administrator's initial password",
        lambda answers: "airis-secrets/admin",
        _secret,
        applies=lambda answers: answers["admin-email"] is not None,
        because="--admin-email",
    ),
)
