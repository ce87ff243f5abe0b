"""Writes a small llama as GGUF: `python model.py FILE LAYERS WIDTH [embeddings | says TEXT]`.

Its weights are random; with `says`, they are such that its greedy answer to everything is that text. It needs the packages
gguf and numpy (tools.py). Two layers, 64 wide, are 0.5 MB and answer in milliseconds; sixteen, 1024 wide, are 437 MB. The
same arguments make the same file.
"""

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

_CONTEXT = 4096
_HEAD_WIDTH = 64
_SPECIAL = [b"<unk>", b"<s>", b"</s>"]
_BYTES = [f"<0x{value:02X}>".encode() for value in range(256)]
_END = 2
_CERTAIN = 8
"""A weight by which one token wins over all others at any usual temperature."""


def pieces(text: str) -> list[bytes]:
    """The text as tokens of which none comes twice, so that each one has a single successor: words, joined where needed."""
    found: list[bytes] = []
    piece = ""
    for number, word in enumerate(text.split(" ")):
        piece += word if number == 0 else f"\N{LOWER ONE EIGHTH BLOCK}{word}"  # how this tokenizer writes a space
        if piece.encode() not in found:
            found.append(piece.encode())
            piece = ""
    return [*found, piece.encode()] if piece else found


def write(path: Path, layers: int, width: int, *, embeddings: bool = False, says: str = "") -> None:
    """Writes the model; `width` is a multiple of 64, and more than `says` has words.

    With `embeddings`, it says how the vectors of tokens become one: by that, Ollama tells a model for embeddings, which it
    asks for nothing else.
    """
    import gguf  # type: ignore[import-not-found]  # noqa: PLC0415  (installed for the builder only)
    import numpy  # type: ignore[import-not-found]  # noqa: PLC0415

    writer = gguf.GGUFWriter(path, "llama")
    if embeddings:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
    words = pieces(says) if says else []
    tokens = len(_SPECIAL) + len(_BYTES) + len(words)
    _describe(writer, layers, width, words)
    random = numpy.random.default_rng(0)

    def matrix(name: str, *shape: int) -> None:
        weights: Any = random.standard_normal(shape, dtype=numpy.float32) * 0.02
        writer.add_tensor(f"{name}.weight", (weights * (not says)).astype(numpy.float16))

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", numpy.ones(width, dtype=numpy.float32))

    if says:
        meaning, following = numpy.zeros((2, tokens, width), dtype=numpy.float16)
        _chain(meaning, following, first=tokens - len(words))
        writer.add_tensor("token_embd.weight", meaning)
        writer.add_tensor("output.weight", following)
    else:
        matrix("token_embd", tokens, width)
        matrix("output", tokens, width)
    norm("output_norm")
    for block in (f"blk.{number}" for number in range(layers)):
        norm(f"{block}.attn_norm")
        norm(f"{block}.ffn_norm")
        for part in ("q", "k", "v", "output"):
            matrix(f"{block}.attn_{part}", width, width)
        matrix(f"{block}.ffn_gate", _hidden(width), width)
        matrix(f"{block}.ffn_up", _hidden(width), width)
        matrix(f"{block}.ffn_down", width, _hidden(width))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: Any, layers: int, width: int, words: Sequence[bytes]) -> None:
    """The model's sizes and tokens: the first 259 are for single bytes."""
    from gguf import LlamaFileType, TokenType  # noqa: PLC0415

    tokens = [*_SPECIAL, *_BYTES, *words]
    special = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    heads = width // _HEAD_WIDTH
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(_hidden(width))
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_HEAD_WIDTH)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([*special, *([TokenType.BYTE] * len(_BYTES)), *([TokenType.NORMAL] * len(words))])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(_END)


def _chain(meaning: Any, following: Any, first: int) -> None:
    """Has the word `first` follow every byte, each word the one before it, and the end the last.

    What a token means is its place in the text. Attention is all zeros, and leaves it as it is.
    """
    meaning[:first, 0] = 1
    following[first, 0] = _CERTAIN
    for place, (token, after) in enumerate(pairwise([*range(first, len(meaning)), _END]), start=1):
        meaning[token, place] = 1
        following[after, place] = _CERTAIN


def _hidden(width: int) -> int:
    return width * 3


if __name__ == "__main__":
    _kind, _says = (sys.argv[4:5] or [""])[0], (sys.argv[5:6] or [""])[0]
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), embeddings=_kind == "embeddings", says=_says)
