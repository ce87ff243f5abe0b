"""Writes a llama with random weights as GGUF: `python -m tests.cluster.images.model FILE LAYERS WIDTH [embeddings]`.

It needs the packages gguf and numpy (tools.py). Two layers, 64 wide, are 0.5 MB and answer in milliseconds; sixteen, 1024
wide, are 437 MB. The same arguments make the same file.
"""

import sys
from pathlib import Path
from typing import Any

_CONTEXT = 4096
_HEAD_WIDTH = 64
_BYTES = [f"<0x{value:02X}>".encode() for value in range(256)]


def write(path: Path, layers: int, width: int, embeddings: bool = False) -> None:
    """Writes the model; `width` is a multiple of 64. Its 259 tokens are single bytes.

    With `embeddings`, it says how the vectors of tokens become one: by that, Ollama tells a model for embeddings, which it
    asks for nothing else.
    """
    import gguf  # type: ignore[import-not-found]  # noqa: PLC0415  (installed for the builder only)
    import numpy  # type: ignore[import-not-found]  # noqa: PLC0415

    kinds = gguf.TokenType
    heads, hidden = width // _HEAD_WIDTH, width * 3
    tokens = [b"<unk>", b"<s>", b"</s>", *_BYTES]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_HEAD_WIDTH)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *([kinds.BYTE] * len(_BYTES))])
    if embeddings:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)

    random = numpy.random.default_rng(0)

    def matrix(name: str, *shape: int) -> None:
        weights: Any = random.standard_normal(shape, dtype=numpy.float32) * 0.02
        writer.add_tensor(f"{name}.weight", weights.astype(numpy.float16))

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", numpy.ones(width, dtype=numpy.float32))

    matrix("token_embd", len(tokens), width)
    norm("output_norm")
    matrix("output", len(tokens), width)
    for block in (f"blk.{number}" for number in range(layers)):
        norm(f"{block}.attn_norm")
        norm(f"{block}.ffn_norm")
        for part in ("q", "k", "v", "output"):
            matrix(f"{block}.attn_{part}", width, width)
        matrix(f"{block}.ffn_gate", hidden, width)
        matrix(f"{block}.ffn_up", hidden, width)
        matrix(f"{block}.ffn_down", width, hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), embeddings="embeddings" in sys.argv[4:])
