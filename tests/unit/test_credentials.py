"""Credentials: encrypted or refused, in the stack's Secret or by reference, and never in plain text."""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format

from airis.render import program
from airis.render.manifest import manifest as shown
from airis.render.manifest import to_yaml
from airis.render.program import Rendering, Secret
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError
from settings import SettingsError, load
from tests.unit.conftest import Command, Refuse
from tests.unit.drawing import (
    ROOT,
    draw,
    draw_once,
    draw_program,
    env,
    manifest,
    names,
    pod_spec,
    stack_of,
    values,
    workloads,
)

pytestmark = pytest.mark.timeout(60)

MARKERS = {
    "sessionKey": "marker-session-key-marker-session-key",
    "databaseUrl": "postgresql://user:marker-database@db:5432/chats",
    "redisUrl": "rediss://:marker-redis@redis:6379/0",
    "s3AccessKeyId": "marker-access-key-id",
    "s3SecretAccessKey": "marker-secret-access-key",
}
OWN = {
    "WEBUI_SECRET_KEY": "sessionKey",
    "DATABASE_URL": "databaseUrl",
    "REDIS_URL": "redisUrl",
    "WEBSOCKET_REDIS_URL": "redisUrl",
    "S3_ACCESS_KEY_ID": "s3AccessKeyId",
    "S3_SECRET_ACCESS_KEY": "s3SecretAccessKey",
}
"""Each variable, and the key of the stack's Secret that it references."""

EVERYTHING: dict[str, Any] = {
    "database": {},
    "redis": {},
    "objectStorage": {"bucket": "uploads"},
    "vectorStore": "pgvector",
}
CHECKSUM = "airis.dev/secrets-checksum"


def drawn_with(**secrets: str) -> Rendering:
    return draw_once(webui=EVERYTHING, secrets=MARKERS | secrets)


def deployment(drawn: Rendering) -> Mapping[str, Any]:
    return manifest(drawn, "Deployment", "airis-deployment")


def checksum(drawn: Rendering) -> str:
    return str(deployment(drawn)["spec"]["template"]["metadata"]["annotations"][CHECKSUM])


def secret_values(drawn: Rendering) -> Any:
    """The data of the stack's Secret."""
    data = manifest(drawn, "Secret", "airis-secrets")["stringData"]
    assert isinstance(data, Secret)  # marked as a whole: encrypted in Pulumi's state, hidden in its output
    return data.value


def revealed(value: Any) -> str:
    """Everything in it as text, including values that are marked as secret."""
    if isinstance(value, Secret):
        return revealed(value.value)
    if isinstance(value, Mapping):
        return " ".join(f"{key} {revealed(inner)}" for key, inner in value.items())
    return " ".join(map(revealed, value)) if isinstance(value, list | tuple) else str(value)


def test_the_secret_holds_the_stacks_credentials_and_pods_reference_it() -> None:
    drawn = drawn_with()
    assert secret_values(drawn) == {variable: MARKERS[key] for variable, key in OWN.items()}
    given = env(deployment(drawn))
    for variable in OWN:
        assert given[variable] == {"secretKeyRef": {"name": "airis-secrets", "key": variable}}
    assert names(drawn, "Secret") == ["airis-secrets"]


def test_existing_credentials_are_referenced_and_not_copied() -> None:
    references = {
        variable: {"name": f"{variable.lower().replace('_', '-')}-of-mine", "key": variable.lower()}
        for variable in OWN
        if variable != "WEBSOCKET_REDIS_URL"
    }
    drawn = draw_once(
        webui={
            "sessionKeyFrom": references["WEBUI_SECRET_KEY"],
            "database": {"urlFrom": references["DATABASE_URL"]},
            "redis": {"urlFrom": references["REDIS_URL"]},
            "objectStorage": {
                "bucket": "uploads",
                "accessKeyIdFrom": references["S3_ACCESS_KEY_ID"],
                "secretAccessKeyFrom": references["S3_SECRET_ACCESS_KEY"],
            },
            "vectorStore": "pgvector",
        }
    )
    assert names(drawn, "Secret") == []
    references["WEBSOCKET_REDIS_URL"] = references["REDIS_URL"]
    given = env(deployment(drawn))
    assert {name: value["secretKeyRef"] for name, value in given.items() if not isinstance(value, str)} == references
    assert checksum(drawn) == "none"


def test_unset_credentials_are_neither_kept_nor_passed_on() -> None:
    drawn = draw_once()
    assert set(secret_values(drawn)) == {"WEBUI_SECRET_KEY"}
    assert [name for name, value in env(deployment(drawn)).items() if not isinstance(value, str)] == [
        "WEBUI_SECRET_KEY"
    ]
    plain = {"WEBSOCKET_MANAGER", "ENABLE_WEBSOCKET_SUPPORT", "STORAGE_PROVIDER", "S3_BUCKET_NAME"}
    assert not plain & env(deployment(drawn)).keys()


def test_credentials_are_only_in_secrets_and_marked_as_secret(registrations: list[Any]) -> None:
    drawn = draw(webui=EVERYTHING, secrets=MARKERS)
    assert len(registrations) > len(drawn.objects)
    for request in registrations:
        sent = program._plain(json_format.MessageToDict(request.object))
        assert "marker-" not in repr(sent), request.name  # a `Secret` hides its value
        if not request.type.endswith(":Secret"):
            assert "marker-" not in revealed(sent), request.name
    for workload in workloads(drawn):
        assert "marker-" not in revealed(workload)
    assert "marker-" not in revealed(drawn.exports)


def test_no_credential_is_printed(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    drawn = draw(webui={**EVERYTHING, "image": "a/b:main"}, secrets=MARKERS)
    assert "has a mutable tag" in caplog.text
    text = to_yaml(drawn.objects)
    assert "airis-secrets" in text
    assert "marker-" not in text + repr(drawn) + str(drawn) + caplog.text + "".join(capsys.readouterr())
    assert [each for each in MARKERS.values() if each not in to_yaml(drawn.objects, show_secrets=True)] == []
    settings = load(stack_of(webui=EVERYTHING, secrets=MARKERS).config, source="x", secret_keys={"airis:secrets"})
    assert "marker-" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def wrong(**change: object) -> dict[str, Any]:
    return {"webui": EVERYTHING, "secrets": MARKERS} | change


@pytest.mark.parametrize(
    "config",
    [
        wrong(webui={**EVERYTHING, "replicas": -1}),
        wrong(webui={}),
        wrong(secrets={**MARKERS, "databaseUrl": "mysql://marker-x@db"}),
        wrong(secrets={**MARKERS, "redisUrl": "marker-redis:6379"}),
        wrong(secrets={**MARKERS, "sessionKey": "marker-short"}),
        wrong(secrets={**MARKERS, "sessionkey": "marker-misspelt"}),
        wrong(secrets={**MARKERS, "databaseUrl": ["marker-in-a-list"]}),
        wrong(secrets={**MARKERS, "databaseUrl": {"value": "marker-in-a-mapping"}}),
        wrong(secrets=["marker-list"]),
        wrong(secrets="marker-text"),
        wrong(webui={**EVERYTHING, "sessionKeyFrom": {"name": "a", "key": "b"}}),
    ],
    ids=str,
)
@pytest.mark.parametrize("encrypted", [True, False])
def test_no_credential_is_in_an_error(config: dict[str, Any], encrypted: bool) -> None:
    stack = stack_of(**config)
    with pytest.raises(SettingsError) as caught:
        load(stack.config, source="Pulumi.x.yaml", secret_keys=stack.secret_keys if encrypted else frozenset())
    problems = [(each.key, each.value, each.allowed) for each in caught.value.problems]
    assert "marker-" not in f"{caught.value} {caught.value!r} {problems}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "webui",
    [
        {"database": "postgresql://user:marker-x@db/chats"},
        {"database": {"urlFrom": "postgresql://user:marker-x@db/chats"}},
        {"database": {"urlFrom": ["marker-x"]}},
        {"database": {"url": "postgresql://user:marker-x@db/chats"}},
        {"redis": {"urlFrom": {"value": "marker-x"}}},
        {"sessionKeyFrom": "marker-x"},
        {"objectStorage": {"bucket": "files", "accessKeyIdFrom": "marker-x", "secretAccessKeyFrom": "marker-y"}},
        {"secretEnv": {"API_KEY": "marker-x"}},
        {"secretEnv": {"API_KEY": {"value": "marker-x"}}},
        {"secretEnv": [{"name": "API_KEY", "value": "marker-x"}]},
        {"env": {"API_KEY": "marker-x"}},
        {"env": {"PROXY": "http://user:marker-x@proxy"}},
    ],
    ids=str,
)
def test_a_credential_in_place_of_a_reference_is_not_printed(webui: object, refuse: Refuse) -> None:
    said = refuse(f"airis:webui: {json.dumps(webui)}")
    assert "marker-" not in said
    assert "[not shown]" in said


@pytest.mark.parametrize("wrong_name", ["A b", "-a"])
def test_the_name_of_a_reference_is_printed(wrong_name: str, refuse: Refuse) -> None:
    said = refuse(f"airis:webui: {{sessionKeyFrom: {{name: '{wrong_name}', key: b}}}}")
    assert f'given    "{wrong_name}"' in said


@pytest.mark.parametrize("name", MARKERS)
def test_the_checksum_changes_with_each_credential_and_reveals_none(name: str) -> None:
    one, same, other = drawn_with(), drawn_with(), drawn_with(**{name: f"{MARKERS[name]}-changed"})
    assert checksum(one) == checksum(same) != checksum(other)
    assert len(checksum(one)) == 16
    assert not any(marker in checksum(one) for marker in MARKERS.values())


def test_the_checksum_changes_with_nothing_else() -> None:
    changed = draw_once(
        webui={**EVERYTHING, "image": "airis:1.2.3", "env": {"DEBUG": "1"}},
        secrets=MARKERS,
        ollama={"replicas": 2},
        ingress={"host": "chat.example.com"},
    )
    assert checksum(changed) == checksum(drawn_with())


def test_no_short_password_can_be_guessed_from_the_checksum() -> None:
    """Without the long random key, passwords could be brute-forced until the digest matches."""
    stack = stack_of(
        webui={"database": {}, "sessionKeyFrom": {"name": "mine", "key": "key"}},
        secrets={"databaseUrl": "postgresql://a:b@db/c"},
    )
    one, other = (program.run(stack, generate_secrets=True) for _ in range(2))
    assert set(secret_values(one)) == {"DATABASE_URL"}
    assert checksum(one) != checksum(other)


def test_the_session_key_is_generated_once_and_protected(registrations: list[Any]) -> None:
    draw()
    (stash,) = [each for each in registrations if each.type == "pulumi:index:Stash"]
    assert stash.name == "airis-secrets-session-key"
    assert stash.parent.endswith("$airis:components:WebUI::airis")
    assert list(stash.ignoreChanges) == ["input"]  # otherwise, it would change at each `up`
    assert stash.protect
    sent = program._plain(json_format.MessageToDict(stash.object))
    assert isinstance(sent["input"], Secret)
    assert len(sent["input"].value) >= 64


def test_the_session_key_is_random_and_a_placeholder_in_renders() -> None:
    keys = [
        secret_values(program.run(stack_of(), generate_secrets=generate))["WEBUI_SECRET_KEY"]
        for generate in (True, True, False, False)
    ]
    assert len(set(keys)) == 3
    assert keys[2] == keys[3] == "generated at the first up"
    assert all(len(key) >= 64 for key in keys[:2])


def test_a_configured_key_takes_precedence_and_the_generated_one_is_kept(registrations: list[Any]) -> None:
    drawn = draw(secrets={"sessionKey": MARKERS["sessionKey"]})
    assert secret_values(drawn) == {"WEBUI_SECRET_KEY": MARKERS["sessionKey"]}
    # it is protected, so it could not be removed; and the stack can switch back to it
    assert [each.name for each in registrations if each.type == "pulumi:index:Stash"] == ["airis-secrets-session-key"]


def test_two_webuis_have_different_keys(tmp_path: Path) -> None:
    drawn = draw_program(
        tmp_path,
        """
        from components import WebUI

        for name in ("red", "blue"):
            WebUI(name, namespace="apps")
        """,
    )
    assert names(drawn, "Secret") == ["blue-secrets", "red-secrets"]
    for name in ("red", "blue"):
        given = env(manifest(drawn, "Deployment", f"{name}-deployment"))["WEBUI_SECRET_KEY"]
        assert given == {"secretKeyRef": {"name": f"{name}-secrets", "key": "WEBUI_SECRET_KEY"}}


def plain_text(drawn: Rendering) -> Iterator[str]:
    """The variables of all pods."""
    for workload in workloads(drawn):
        for each in (*pod_spec(workload)["containers"], *pod_spec(workload).get("initContainers", [])):
            yield from (variable["value"] for variable in each["env"] if "value" in variable)


def test_secret_env_is_passed_by_reference_to_both_workloads() -> None:
    reference = {"name": "apart", "key": "api.key"}
    drawn = draw_once(webui={"secretEnv": {"API_KEY": reference}}, ollama={"secretEnv": {"API_KEY": reference}})
    for workload in workloads(drawn):
        assert env(workload)["API_KEY"] == {"secretKeyRef": reference}
        assert list(values(pod_spec(workload), "envFrom")) == []
    assert "api.key" not in " ".join(plain_text(drawn))


def test_show_secrets_prints_a_real_key_in_the_secret_and_nowhere_else(command: Command) -> None:
    code, out, _ = command("render", "--stack", "cpu", "--show-secrets")
    assert code == 0
    (secret,) = [each for each in yaml.safe_load_all(out) if each["kind"] == "Secret"]
    assert len(secret["stringData"]["WEBUI_SECRET_KEY"]) >= 64
    assert out.count(secret["stringData"]["WEBUI_SECRET_KEY"]) == 1
    code, hidden, _ = command("render", "--stack", "cpu")
    assert code == 0
    (secret,) = [each for each in yaml.safe_load_all(hidden) if each["kind"] == "Secret"]
    assert secret["stringData"] == {"WEBUI_SECRET_KEY": "[secret]"}


# Plain text under airis:secrets


@pytest.mark.parametrize(
    ("secrets", "key"),
    [
        ("{databaseUrl: 'postgresql://a:marker-b@db/c'}", "databaseUrl"),
        ("{sessionKey: {secure: v1:abc}, redisUrl: 'redis://:marker-b@redis'}", "redisUrl"),
        ("{s3AccessKeyId: 5}", "s3AccessKeyId"),
        ("{values: {one: {secure: v1:abc}, two: marker-b}}", "values.two"),
    ],
)
@pytest.mark.parametrize("prefix", ["airis:", ""])
def test_plain_text_in_the_stack_file_is_refused(prefix: str, secrets: str, key: str, refuse: Refuse) -> None:
    assert refuse(f"{prefix}secrets: {secrets}") == (
        f"Pulumi.test.yaml: airis:secrets.{key} stands there in plain text\n"
        f"  `pulumi config set --stack test --secret --path airis:secrets.{key}` encrypts it; "
        "then change the value that was seen"
    )


def test_plain_text_is_refused_with_values_that_the_engine_decrypted(registrations: list[Any]) -> None:
    stack = stack_of(
        webui={"database": {}, "redis": {}}, secrets={name: MARKERS[name] for name in ("databaseUrl", "redisUrl")}
    )
    assert stack.secret_keys == {"airis:secrets"}
    program.run(stack)
    registrations.clear()
    plain = StackFile(stack.name, stack.path, stack.config, frozenset({"airis:webui"}))
    with pytest.raises(AirisError) as caught:
        program.run(plain)
    assert registrations == []
    remedy = "no plain text: `pulumi config set --secret --path airis:secrets.{}`; then rotate the credential"
    assert str(caught.value).splitlines() == [
        "Pulumi.test.yaml: 2 settings are wrong. Nothing was changed.",
        "  airis:secrets.databaseUrl",
        "    given    [not shown]",
        f"    allowed  {remedy.format('databaseUrl')}",
        "  airis:secrets.redisUrl",
        "    given    [not shown]",
        f"    allowed  {remedy.format('redisUrl')}",
    ]


def test_plain_text_is_reported_along_with_other_errors() -> None:
    stack = stack_of(secrets={"databaseUrl": "mysql://marker-x", "databaseURL": "marker-y"}, webui={"replicas": -1})
    with pytest.raises(SettingsError) as caught:
        load(stack.config, source="x")
    assert [each.key for each in caught.value.problems] == [
        "airis:secrets.databaseURL",
        "airis:secrets.databaseUrl",
        "airis:webui.replicas",
    ]
    unknown, plain, _ = caught.value.problems
    assert unknown.allowed.startswith("did you mean `databaseUrl`?")
    assert plain.allowed.startswith("no plain text: ")


@pytest.mark.parametrize("secrets", [{}, {"databaseUrl": None, "sessionKey": None}])
def test_empty_secrets_are_accepted(secrets: object) -> None:
    assert load({"airis:secrets": json.dumps(secrets)}, source="x").secrets.database_url is None


# Invalid values


NEEDED_FOR: dict[str, dict[str, object]] = {"databaseUrl": {"database": {}}, "redisUrl": {"redis": {}}}
"""Without its section, a credential would be refused for that reason."""


def refusal(name: str, value: str) -> tuple[str, str]:
    """The error for that encrypted value: the displayed value, and what is allowed."""
    stack = stack_of(webui=NEEDED_FOR.get(name, {}), secrets={name: value})
    with pytest.raises(SettingsError) as caught:
        load(stack.config, source="x", secret_keys=stack.secret_keys)
    (problem,) = caught.value.problems
    assert problem.key == f"airis:secrets.{name}"
    return problem.value, problem.allowed


@pytest.mark.parametrize("value", ["mysql://a:b@db/c", "sqlite:///data/webui.db", "db:5432", "PostgreSQL://a:b@db/c"])
def test_a_database_url_must_be_postgresql(value: str) -> None:
    assert refusal("databaseUrl", value) == ("[secret]", "a URL that begins with postgresql://")


@pytest.mark.parametrize("value", ["http://redis:6379", "redis:6379", "postgresql://a:b@db/c", "unix:///run/redis"])
def test_a_redis_url_must_be_redis(value: str) -> None:
    assert refusal("redisUrl", value) == ("[secret]", "a URL that begins with redis://")


@pytest.mark.parametrize("value", ["short", "k" * 31])
def test_a_short_session_key_is_refused(value: str) -> None:
    assert refusal("sessionKey", value) == ("[secret]", "at least 32 characters")


@pytest.mark.parametrize("name", MARKERS)
@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_credential_is_refused(name: str, value: str) -> None:
    stack = stack_of(webui=NEEDED_FOR.get(name, {}), secrets={name: value})
    with pytest.raises(SettingsError) as caught:
        load(stack.config, source="x", secret_keys=stack.secret_keys)
    problem = caught.value.problems[0]
    assert (problem.key, problem.value) == (f"airis:secrets.{name}", "[secret]")
    assert problem.allowed == "a value that is not empty; omit the key if there is none"
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("databaseUrl", "postgres://a:b@db/c"),
        ("databaseUrl", "postgresql://a:b@db/c"),
        ("redisUrl", "redis://redis:6379/0"),
        ("redisUrl", "rediss://:b@redis:6379/0"),
        ("sessionKey", "k" * 32),
    ],
)
def test_valid_credentials_are_accepted(name: str, value: str) -> None:
    variable = {"databaseUrl": "DATABASE_URL", "redisUrl": "REDIS_URL", "sessionKey": "WEBUI_SECRET_KEY"}[name]
    assert secret_values(draw_once(webui=NEEDED_FOR.get(name, {}), secrets={name: value}))[variable] == value


def test_undecryptable_values_are_accepted(project: Path, command: Command) -> None:
    encrypted = {name: {"secure": "v1:abc"} for name in MARKERS}
    config = {"airis:webui": {**EVERYTHING, "image": "airis:1.2.3"}, "airis:secrets": encrypted}
    (project / "Pulumi.team.yaml").write_text(json.dumps({"config": config}), encoding="utf-8")
    code, out, err = command("render", "--stack", "team")
    assert code == 0
    assert err.startswith("note: Secret/airis-secrets reads [secret] here.")
    assert len(err.splitlines()) == 1
    assert "v1:abc" not in out
    (secret,) = [each for each in yaml.safe_load_all(out) if each["kind"] == "Secret"]
    assert secret["stringData"] == dict.fromkeys(sorted(OWN), "[secret]")


def test_the_secret_is_updated_in_place() -> None:
    """If it were replaced, the pods' references would be invalid for a moment."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    assert project["config"]["kubernetes:enableSecretMutable"]["value"] is True
    assert "immutable" not in shown(next(each for each in draw_once().objects if each.kind == "Secret"))
