"""What text a Modelfile can hold.

The grammar has quotes, and nothing that would make a quote part of the text. Source: github.com/ollama/ollama v0.17.4,
parser/parser.go (ParseFile, unquote).
"""

QUOTES = '"""'
"""What a text of several lines stands between."""


def quotable(given: str) -> str:
    """Text that Ollama reads from a Modelfile as it was written. Raises ValueError for other text, and for none.

    Ollama drops what Go does not call printable, without a word. Python calls the same printable: letters, marks, numbers,
    punctuation, symbols and the ASCII space. And a value ends where, at the end of a line, three quotes stand.
    """
    if not given:
        raise ValueError("some text")
    for character in given:
        if not character.isprintable() and character not in "\t\r\n":
            raise ValueError(f"text without U+{ord(character):04X}, which Ollama would leave out: it is not printable")
    for index, character in enumerate(given):
        line = f"{QUOTES}{given[:index]}".strip()
        if character in "\r\n" and len(line) >= 2 * len(QUOTES) and line.endswith(QUOTES):
            raise ValueError(f"text without a line that ends in {QUOTES}: a Modelfile has no way to write it")
    return given
