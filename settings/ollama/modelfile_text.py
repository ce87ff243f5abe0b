"""Text that a Modelfile can hold.

The grammar has quotes, but no escape for a quote in the text. Source: github.com/ollama/ollama v0.17.4, parser/parser.go
(ParseFile, unquote).
"""

QUOTES = '"""'
"""Delimiter of a text of several lines."""


def quotable(given: str) -> str:
    """Text that Ollama reads from a Modelfile unchanged. Raises ValueError for other text, and for an empty one.

    Ollama silently drops characters that Go does not consider printable. Python's definition is the same: letters, marks,
    numbers, punctuation, symbols and the ASCII space. A value ends at the first line that ends in three quotes.
    """
    if not given:
        raise ValueError("a text that is not empty")
    for character in given:
        if not character.isprintable() and character not in "\t\r\n":
            raise ValueError(f"text without U+{ord(character):04X}, which is not printable: Ollama drops it")
    for index, character in enumerate(given):
        line = f"{QUOTES}{given[:index]}".strip()
        if character in "\r\n" and len(line) >= 2 * len(QUOTES) and line.endswith(QUOTES):
            raise ValueError(f"text without a line that ends in {QUOTES}, which a Modelfile cannot hold")
    return given
