"""Ollama with too little memory: the kernel kills the server of a model, no pod restarts, and `airis doctor` reports it."""

import json

import pytest

from airis.doctor import examination
from airis.doctor.checks import CHECKS, State
from airis.doctor.observation import Observation
from airis.doctor.observe import server_of
from airis.doctor.requirements import Requirements
from airis.doctor.this_machine import this_machine
from airis.render import manifest, program
from airis.stack_file.stacks import settings_of
from tests.cluster import models
from tests.cluster.models import Tiny
from tests.cluster.prompts import Stopped, ask, different
from tests.cluster.stacks import Stack
from tests.cluster.target import Target
from tests.unit.drawing import ROOT, stack_of

HEAVY = Tiny(16, 1024)
"""437 MB; each cached prompt of 1,500 tokens takes 95 MiB more."""
PROMPTS = 8


def examined(stack: Stack, settings: dict[str, object], *checks: str) -> list[tuple[State, str]]:
    """The findings of these checks of `airis doctor` in the cluster."""
    file = stack_of(namespace=stack.namespace, **settings)
    objects = [manifest.manifest(each) for each in manifest.in_order(program.run(file).objects)]
    wanted = Requirements("story", settings_of(file), objects)
    look = Observation(this_machine(ROOT), server=server_of(stack.cluster, wanted), wanted=wanted)
    return [(each.state, each.what) for name in checks for each in CHECKS[name].findings(look)]


def test_a_model_whose_server_is_killed_for_memory_is_named(cluster: Target, stack: Stack) -> None:
    assert examination  # registers the checks
    limits = {"requests": {"memory": "100Mi", "cpu": "100m"}, "limits": {"memory": "1Gi", "cpu": "2"}}
    settings: dict[str, object] = {
        "webui": {"replicas": 0},
        "ollama": {"resources": limits, "env": {"LLAMA_ARG_CACHE_RAM": "8192"}},  # the default of llama-server
    }
    stack.up(**settings)
    url = stack.url("ollama-service")
    models.give(cluster, url, tiny=HEAVY)
    prompts = different(1500)
    ask(url, next(prompts))
    (fine,) = examined(stack, settings, "model-servers")
    assert fine == (State.OK, "Pod/ollama-0: no model server ended unexpectedly")

    with pytest.raises(Stopped, match="model runner has unexpectedly stopped"):
        for _ in range(PROMPTS):
            ask(url, next(prompts))
    ask(url, "Are you there?")  # the model is loaded again

    (pod,) = stack.cluster.get("pods", "--selector=app=ollama")
    assert [each["restartCount"] for each in pod["status"]["containerStatuses"]] == [0]
    killed = (
        State.PROBLEM,
        "Pod/ollama-0: the server of tiny:latest was OOM-killed 1 time (memory limit 1Gi)",
    )
    assert examined(stack, settings, "model-servers") == [killed], json.dumps(pod["status"])

    # with the rendered variables, the same model survives the same prompts
    fitting = {**settings, "ollama": {"resources": limits}}
    stack.up(**fitting)
    for _, prompt in zip(range(PROMPTS), different(1500), strict=False):
        ask(stack.url("ollama-service"), prompt)
    assert examined(stack, fitting, "model-servers") == [fine]
