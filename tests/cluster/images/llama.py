"""A layer of llama.cpp's server, which Ollama starts for each model, built from the source that llama-cpp-python carries."""

import os
import shutil
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

from tests.cluster.images.layer import Layer, run
from tests.cluster.images.tools import LOCKS, tools
from tests.cluster.node import packages

_PINS = LOCKS / "llama-requirements.txt"

_OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "OFF",
    "CMAKE_EXE_LINKER_FLAGS": "-static-libgcc -static-libstdc++",
    "GGML_NATIVE": "OFF",  # another machine may run it
    "GGML_OPENMP": "OFF",
    "LLAMA_BUILD_COMMON": "ON",
    "LLAMA_BUILD_TOOLS": "ON",
    "LLAMA_BUILD_SERVER": "ON",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_CURL": "OFF",
    "LLAMA_OPENSSL": "OFF",
}


class LlamaServer(Layer):
    """`/usr/lib/ollama/llama-server`: for any x86-64 processor with AVX2, without a GPU."""

    name = "llama-server"

    def inputs(self) -> Iterable[bytes]:
        """The pins of the source and of the tools."""
        return [_PINS.read_bytes(), (LOCKS / "build-requirements.txt").read_bytes()]

    def fill(self, root: Path) -> None:
        """Compiles: four minutes on two cores."""
        packages.ensure(["g++"])
        site, work = tools(), root.parent
        environment = {"PYTHONPATH": str(site), "PATH": f"{site / 'bin'}:{os.environ['PATH']}"}
        # pip asks a source distribution for its metadata, by the build system that is among the tools
        run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"),
                *("--no-build-isolation", "--require-hashes", "--requirement", _PINS, "--dest", work),
            ],
            **environment,
        )
        (archive,) = work.glob("llama_cpp_python-*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(work, filter="data")
        (source,) = work.glob("llama_cpp_python-*/vendor/llama.cpp")
        options = [f"-D{name}={value}" for name, value in _OPTIONS.items()]
        run(["cmake", "-G", "Ninja", "-S", source, "-B", work / "build", *options], **environment)
        run(["cmake", "--build", work / "build", "--target", "llama-server"], **environment)
        target = root / "usr/lib/ollama"
        target.mkdir(parents=True)
        shutil.copy2(work / "build/bin/llama-server", target)
        run(["strip", target / "llama-server"])
