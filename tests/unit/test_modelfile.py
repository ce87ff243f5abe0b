"""Text that Modelfiles can hold. tests/ollama checks with Ollama's own parser that it is read back unchanged."""

import pytest

from settings.ollama.modelfile import modelfile
from settings.ollama.modelfile_text import quotable
from settings.ollama.models import CreatedModel
from tests.unit.conftest import Refuse

pytestmark = pytest.mark.timeout(60)

NO_END = 'text without a line that ends in """, which a Modelfile cannot hold'


@pytest.mark.parametrize(
    "text",
    [
        "one line",
        "two\nlines",
        " spaces around ",
        '"',
        '""',
        '"quoted"',
        'ends with "',
        '"""at the beginning',
        'at the end"""',
        'in """the""" middle\nof a line',
        '""\nnext line',  # three quotes and two are not six
        "a\ttab and\r\nWindows' lines",
        "# no comment",
        "FROM other",
        "{{ .System }} \\ $HOME $(X) `id`",
        "Grüße, 你好, 🎉",
        "\n",
    ],
)
def test_text_that_a_modelfile_can_hold(text: str) -> None:
    assert quotable(text) == text
    model = CreatedModel.model_validate({"name": "a", "from": "b", "system": text})
    assert modelfile(model) == f'FROM b\nSYSTEM """{text}"""\n'


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", "a text that is not empty"),
        ('ends a line"""\nand goes on', NO_END),
        ('ends a line"""  \t\nand goes on', NO_END),
        ('ends a line"""\r\nand goes on', NO_END),
        ('"""\ncode\n"""', NO_END),
        ("no\u00a0break", "text without U+00A0, which is not printable: Ollama drops it"),
        ("zero\u200bwidth", "text without U+200B"),
        ("bell\x07", "text without U+0007"),
        ("\ufeffmark", "text without U+FEFF"),
    ],
)
def test_text_that_a_modelfile_cannot_hold(text: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=r"^\w") as raised:
        quotable(text)
    assert allowed in str(raised.value)


@pytest.mark.parametrize(
    "field",
    ["system: @", "template: @", "license: @", "parameters: {stop: [@]}", "messages: [{role: user, content: @}]"],
)
def test_invalid_text_is_refused_in_every_field(field: str, refuse: Refuse) -> None:
    """`@` stands for it."""
    said = refuse(
        f"airis:ollama: {{create: [{{name: a, from: b, {field.replace('@', chr(34) + 'x' + chr(92) + 'a' + chr(34))}}}]}}"
    )
    assert "text without U+0007" in said
    assert "airis:ollama.create[0]." in said


@pytest.mark.parametrize(
    ("messages", "key", "allowed"),
    [
        ("[{role: tool, content: x}]", "messages[0].role", "one of 'system', 'user' or 'assistant'"),
        ("[{role: user}]", "messages[0].content", "a value: this key is required"),
        ("[{role: user, content: ''}]", "messages[0].content", "a text that is not empty"),
    ],
)
def test_invalid_messages_are_refused(messages: str, key: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(f"airis:ollama: {{create: [{{name: a, from: b, messages: {messages}}}]}}")
    assert f"  airis:ollama.create[0].{key}\n" in said
    assert f"allowed  {allowed}" in said
