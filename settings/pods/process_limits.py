"""Environment variables that size programs by the limits of their pod. Without them, programs count the host's CPUs.

Source: OpenMP 5.2, section 21.1.2, which PyTorch and OpenBLAS read too.
"""

from settings.pods.workload import ResourceAmounts
from settings.types.quantity import cpu_millicores

_THREADS = "OMP_NUM_THREADS"
_RETURNED = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": str(128 * 2**10)}
PYTHON_VARIABLES = frozenset({_THREADS, *_RETURNED})
"""The variables of `python_variables`. `env` may set them, and takes precedence."""


def threads(limits: ResourceAmounts) -> int | None:
    """One thread for each whole core of the CPU limit, at least 1; None without a limit. Additional threads are throttled.

    Measured on two cores, with a model of 440 MB: at a limit of 1, 27.9 tokens/s with one thread, 21.4 with two, 11.4 with
    eight (issue 20; ollama/ollama#17916 reports 0.27 instead of 12.07).
    """
    return None if limits.cpu is None else max(1, cpu_millicores(limits.cpu) // 1000)


def python_variables(limits: ResourceAmounts) -> dict[str, str]:
    """Variables of the WebUI: threads of its numerical libraries (with a CPU limit), and how glibc returns memory.

    glibc returns a large block at once when it is freed, but raises the size that counts as large each time (mallopt(3),
    M_MMAP_THRESHOLD), and has eight arenas for each core (M_ARENA_MAX). An embedding model frees blocks for each passage of a
    document: while Open WebUI 0.12.4 read one of 5 MiB with its default model, it grew from 777 MiB to 2968, and with these two
    variables to 1056. At a CPU quota of 1, a text of 0.3 MB took 35 s with one thread, 68 s with two, 64 s with eight.
    """
    number = threads(limits)
    return {**_RETURNED, **({} if number is None else {_THREADS: str(number)})}
