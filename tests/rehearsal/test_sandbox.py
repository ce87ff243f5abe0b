"""The sandbox's life cycle: it starts once, recovers from failures of processes and machines, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airis.cluster.programs.cache import cache_root
from airis.rehearse.sandbox import Sandbox, borrowed_sandbox, kwokctl, load_nodes
from airis.rehearse.sandbox.control_plane import COMPONENTS
from airis.terminal.errors import EnvironmentProblem
from tests.rehearsal.conftest import remove, remove_abandoned

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not Path("/proc/self/net").exists(), reason="looks at processes and ports through /proc"),
]

CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data", "namespace": "default"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


@pytest.fixture(scope="module")
def own_name() -> Iterator[str]:
    name = f"airis-life-{os.getpid()}"
    yield name
    remove(Sandbox(name))


@pytest.fixture
def idle(own_name: str) -> Sandbox:
    """A stopped sandbox that tests may break."""
    sandbox = Sandbox(own_name)
    sandbox.down()
    return sandbox


@pytest.fixture
def running(own_name: str) -> Sandbox:
    """A running sandbox that tests may break."""
    sandbox = Sandbox(own_name)
    sandbox.up()
    return sandbox


def processes_of(name: str) -> dict[int, str]:
    """A sandbox's processes, and those that start it, found independently; not those that only print a version."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            program, *args = (entry / "cmdline").read_text().rstrip("\0").split("\0")
        except OSError:
            continue
        if f"/clusters/{name}/" in program or (program.endswith("/kwokctl") and f"--name={name}" in args):
            found[int(entry.name)] = program
    return found


def listening_addresses(pid: int) -> set[str]:
    """The addresses of a process's listening sockets, in the format of /proc/net."""
    sockets = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}
    lines = [
        line.split() for family in ("tcp", "tcp6") for line in Path(f"/proc/net/{family}").read_text().splitlines()
    ]
    return {line[1] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}


def eventually(condition: Callable[[], object], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def kill(processes: Mapping[str, int]) -> None:
    for pid in processes.values():
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not [pid for pid in processes.values() if pid in alive()])


def alive() -> set[int]:
    return {
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if (entry / "cmdline").exists() and (entry / "cmdline").read_bytes()
    }


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def in_background() -> Iterator[Start]:
    """Runs lines of Python in a separate process, in which `sandbox` is the sandbox with this name."""
    started = []

    def start(code: str, name: str, **environment: str) -> "subprocess.Popen[str]":
        lines = f"import time\nfrom airis.rehearse.sandbox import Sandbox\nsandbox = Sandbox({name!r})\n{code}"
        process = subprocess.Popen(
            [sys.executable, "-c", lines],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_up_keeps_the_control_plane(sandbox: Sandbox) -> None:
    before = sandbox.status().processes
    sandbox.up()
    Sandbox(sandbox.name).up()
    assert sandbox.status().processes == before


def test_status_has_processes_and_memory(clean_sandbox: Sandbox) -> None:
    status = clean_sandbox.status()
    assert status.running
    assert set(status.processes) == set(COMPONENTS)
    assert set(status.processes.values()) == set(processes_of(clean_sandbox.name))
    assert status.nodes == ("cpu-0", "gpu-0")
    assert status.server.startswith("https://127.0.0.1:")
    assert 100e6 < status.memory_bytes < 4e9


def test_every_process_listens_on_loopback_only(sandbox: Sandbox) -> None:
    found = {component: listening_addresses(pid) for component, pid in sandbox.status().processes.items()}
    addresses = {address for each in found.values() for address in each}
    assert {address.partition(":")[0] for address in addresses} == {"0100007F"}  # 127.0.0.1
    assert {component: len(each) for component, each in found.items()} == {
        **dict.fromkeys(COMPONENTS, 1),
        "etcd": 2,  # clients and peers
    }


def test_set_nodes_makes_exactly_these_and_waits_until_they_are_ready(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text("nodes: [{name: cpu, cpu: 8, memory: 32Gi}, {name: gpu, cpu: 2, memory: 4Gi, disk: 9Gi}]")
    before = {each["metadata"]["name"]: each for each in clean_sandbox.kubectl.get("nodes")}
    clean_sandbox.set_nodes(load_nodes(file))
    after = {each["metadata"]["name"]: each for each in clean_sandbox.kubectl.get("nodes")}
    assert set(after) == {"cpu-0", "gpu-0"}
    assert after["cpu-0"]["metadata"]["uid"] == before["cpu-0"]["metadata"]["uid"]
    assert after["gpu-0"]["status"]["allocatable"] == {
        "cpu": "2",
        "memory": "4Gi",
        "ephemeral-storage": "9Gi",
        "pods": "110",
    }
    assert "taints" not in after["gpu-0"]["spec"]
    for node in after.values():
        assert {each["type"]: each["status"] for each in node["status"]["conditions"]}["Ready"] == "True"
    clean_sandbox.set_nodes(load_nodes(file)[:1])
    assert clean_sandbox.status().nodes == ("cpu-0",)


def test_set_nodes_again_writes_nothing(clean_sandbox: Sandbox) -> None:
    def written() -> list[Any]:
        # KWOK's heartbeats only change the status
        return [
            (
                each["metadata"]["uid"],
                [entry for entry in each["metadata"]["managedFields"] if "subresource" not in entry],
            )
            for each in clean_sandbox.kubectl.get("nodes", "--show-managed-fields")
        ]

    before = written()
    clean_sandbox.set_nodes(load_nodes())
    assert written() == before


def test_cordoned_nodes_are_recreated_for_the_next_rehearsal(clean_sandbox: Sandbox) -> None:
    clean_sandbox.kubectl.run("cordon", "cpu-0")
    clean_sandbox.kubectl.run("taint", "node", "gpu-0", "tests.airis.dev/mine:NoSchedule")
    clean_sandbox.set_nodes(load_nodes())
    after = {each["metadata"]["name"]: each for each in clean_sandbox.kubectl.get("nodes")}
    wanted = {each["metadata"]["name"]: each["spec"] for each in load_nodes()}
    assert {name: node["spec"] for name, node in after.items()} == wanted


def test_nodes_read_from_a_cluster_can_be_set(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(clean_sandbox.kubectl.run("get", "nodes", "--output=yaml"))
    nodes = {each["metadata"]["name"]: each for each in load_nodes(file)}
    for default in load_nodes():
        again = nodes[default["metadata"]["name"]]
        assert again["spec"] == default["spec"]
        assert again["metadata"]["labels"].items() >= default["metadata"]["labels"].items()
        assert again["status"]["allocatable"] == {"pods": "110", **default["status"]["allocatable"]}


def test_a_second_process_waits_for_the_sandbox_with_a_message(sandbox: Sandbox, in_background: Start) -> None:
    use = f"process {os.getpid()}: it uses the sandbox {sandbox.name}"
    with ExitStack() as mine:
        mine.enter_context(sandbox.hold())
        with sandbox.hold(0):  # the holder never waits
            pass
        with in_background("with sandbox.hold(0.2): pass", sandbox.name) as impatient:
            assert f"EnvironmentProblem: waited 0.2 s for {use}" in impatient.communicate()[1]
        with in_background("with sandbox.hold(): print('my turn')", sandbox.name) as patient:
            assert patient.stderr is not None
            assert patient.stderr.readline() == f"Waiting for {use} ...\n"
            assert patient.poll() is None
            mine.close()
            assert patient.communicate()[0] == "my turn\n"


def test_a_killed_holder_releases_the_lock(sandbox: Sandbox, in_background: Start) -> None:
    with in_background("with sandbox.hold():\n  print('held', flush=True)\n  time.sleep(100)", sandbox.name) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(EnvironmentProblem, match=f"process {holder.pid}"), sandbox.hold(0.1):
            pass
        holder.kill()
    with sandbox.hold(0.1):
        pass


def test_a_dead_component_is_noticed_and_repaired(running: Sandbox) -> None:
    before = running.status().processes
    kill({"kube-apiserver": before["kube-apiserver"]})
    assert not running.status().running
    assert set(running.status().processes) == set(COMPONENTS) - {"kube-apiserver"}
    running.up()
    assert running.status().running
    assert set(processes_of(running.name)) == set(running.status().processes.values())
    assert not set(before.values()) & alive()


def test_after_a_machine_restart_no_foreign_process_is_killed(running: Sandbox) -> None:
    """Afterwards, recorded process ids belong to other processes, even one whose arguments contain the sandbox's folder."""
    folder = running.kubeconfig.parent / "clusters" / running.name
    kill(running.status().processes)
    with subprocess.Popen(["tail", "-f", folder / "logs" / "etcd.log"], stdout=subprocess.DEVNULL) as stranger:
        for file in (folder / "pids").iterdir():
            file.write_text(str(stranger.pid))
        status = running.status()
        assert (status.running, status.processes) == (False, {})
        running.up()
        assert running.status().running
        assert stranger.poll() is None
        stranger.kill()


def test_sandboxes_with_a_common_name_prefix_are_distinct(sandbox: Sandbox) -> None:
    shorter = Sandbox(sandbox.name[:-1])
    assert shorter.status().processes == {}
    remove(shorter)
    assert sandbox.status().running


def test_down_leaves_no_process_no_file_and_no_volume(running: Sandbox) -> None:
    running.kubectl.apply([CLAIM])
    assert eventually(lambda: running.kubectl.get("persistentvolumes"))
    (volume,) = (Path(each["spec"]["hostPath"]["path"]) for each in running.kubectl.get("persistentvolumes"))
    assert volume.is_dir()
    kill({"kube-apiserver": running.status().processes["kube-apiserver"]})  # the volumes cannot be listed any more
    running.down()
    assert not volume.exists()
    assert processes_of(running.name) == {}
    left = {file.name.removeprefix(running.name) for file in running.kubeconfig.parent.rglob(f"{running.name}*")}
    assert left == {".lock", ".lock.pid"}
    running.down()


def test_it_outlives_its_starter_and_ignores_the_users_configuration(
    idle: Sandbox, tmp_path: Path, in_background: Start
) -> None:
    home = {
        ".kube/config": "apiVersion: v1\nkind: Config\ncurrent-context: mine # and a comment\n",
        "other": "x: [",
        "bin/kubectl": "#!/bin/sh\nexit 1\n",
    }
    for file, content in home.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(content)
    (tmp_path / "bin" / "kubectl").chmod(0o755)
    starter = in_background(
        "sandbox.up()",
        idle.name,
        HOME=str(tmp_path),
        PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        KUBECONFIG=str(tmp_path / "other"),
        AIRIS_CACHE=str(cache_root()),
        KWOK_KUBE_AUTHORIZATION="false",
        ETCD_LISTEN_METRICS_URLS="http://0.0.0.0:0",
    )
    _, errors = starter.communicate(timeout=90)  # with the wrong kubectl, kwokctl waits two minutes
    assert starter.returncode == 0, errors
    assert idle.status().running
    arguments = Path(f"/proc/{idle.status().processes['kube-apiserver']}/cmdline").read_text()
    assert "--authorization-mode=Node,RBAC" in arguments
    assert len(listening_addresses(idle.status().processes["etcd"])) == 2
    files = {str(file.relative_to(tmp_path)): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert files == {file: content.encode() for file, content in home.items()}


def test_it_starts_on_a_machine_without_network(idle: Sandbox) -> None:
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody have a network of their own")
    code = f"from airis.rehearse.sandbox import Sandbox; s = Sandbox({idle.name!r}); s.up(); print(s.status().running)"
    shell = 'ip link set lo up && exec "$0" -c "$1"'
    result = subprocess.run(
        [*alone, "sh", "-c", shell, sys.executable, code], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "True\n"), result.stderr
    idle.down()
    assert processes_of(idle.name) == {}


def test_two_ups_at_once_make_one_control_plane(idle: Sandbox, in_background: Start) -> None:
    code = "sandbox.up(); print(sorted(sandbox.status().processes.items()))"
    starters = [in_background(code, idle.name) for _ in range(2)]
    (one, one_errors), (two, two_errors) = (each.communicate() for each in starters)
    assert [each.returncode for each in starters] == [0, 0], one_errors + two_errors
    assert one == two != ""
    assert (one_errors + two_errors).count("Starting the sandbox ...\n") == 1
    assert len(processes_of(idle.name)) == len(COMPONENTS)


def test_concurrently_started_sandboxes_use_different_ports(idle: Sandbox, in_background: Start) -> None:
    other = Sandbox(f"{idle.name}-b")
    try:
        starters = [in_background("sandbox.up()", each.name) for each in (idle, other)]
        errors = [each.communicate()[1] for each in starters]
        assert [each.returncode for each in starters] == [0, 0], errors
        assert "retrying" not in "".join(errors)
        assert idle.status().server != other.status().server
    finally:
        remove(other)


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_taken_port_is_replaced_by_another(idle: Sandbox, busy_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken between choosing and using it; kwokctl does not notice a dead scheduler."""
    original, attempts = kwokctl.configuration, []

    def first_time_with_busy_port(binaries: Any) -> dict[str, Any]:
        config = original(binaries)
        attempts.append(config)
        if len(attempts) == 1:
            config["options"]["kubeSchedulerPort"] = busy_port
        return config

    monkeypatch.setattr(kwokctl, "configuration", first_time_with_busy_port)
    idle.up()
    assert len(attempts) == 2
    assert idle.status().running
    assert len(processes_of(idle.name)) == len(COMPONENTS)


@pytest.mark.timeout(60)  # kwokctl would wait two minutes for a dead etcd, three times
def test_a_failed_start_has_a_reason_and_leaves_nothing(
    idle: Sandbox, busy_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = kwokctl.configuration

    def with_busy_port(binaries: Any) -> dict[str, Any]:
        config = original(binaries)
        config["options"]["etcdPort"] = busy_port
        return config

    monkeypatch.setattr(kwokctl, "configuration", with_busy_port)
    with pytest.raises(EnvironmentProblem, match=rf"etcd exited(.|\n)*{busy_port}: bind: address already in use"):
        idle.up()
    assert processes_of(idle.name) == {}
    assert not idle.kubeconfig.exists()


@pytest.mark.parametrize(
    ("processes", "ending"),
    [(1, signal.SIGINT), (len(COMPONENTS) + 1, signal.SIGINT), (len(COMPONENTS) + 1, signal.SIGTERM)],
    ids=["early", "late", "SIGTERM"],
)
def test_ctrl_c_and_sigterm_during_up_leave_no_process(
    idle: Sandbox, processes: int, ending: signal.Signals, in_background: Start
) -> None:
    with in_background("sandbox.up()", idle.name) as starter:
        assert eventually(lambda: len(processes_of(idle.name)) >= processes)
        starter.send_signal(ending)
        starter.communicate()
    assert starter.returncode != 0
    assert processes_of(idle.name) == {}
    assert not idle.status().running


@pytest.mark.parametrize("kwokctl_may_finish", [False, True])
def test_leftovers_of_a_killed_up_are_deleted_by_the_next(
    idle: Sandbox, kwokctl_may_finish: bool, in_background: Start
) -> None:
    with in_background("sandbox.up()", idle.name) as starter:
        assert eventually(lambda: len(processes_of(idle.name)) > len(COMPONENTS))
        starter.kill()
    if kwokctl_may_finish:  # alone; but the start is incomplete
        assert eventually(lambda: len(processes_of(idle.name)) == len(COMPONENTS))
    else:
        idle.kubeconfig.with_name(
            f"{idle.kubeconfig.name}.lock"
        ).touch()  # kwokctl's lock, which would block it forever
    left = set(processes_of(idle.name))
    assert left
    assert not idle.status().running
    idle.up()
    assert idle.status().running
    assert idle.kubectl.get("storageclass", "standard")
    assert set(processes_of(idle.name)) == set(idle.status().processes.values())
    assert not left & alive()


def test_a_borrowed_sandbox_is_stopped_if_its_borrower_is_terminated(idle: Sandbox, in_background: Start) -> None:
    code = "from airis.rehearse.sandbox import borrowed_sandbox\nwith borrowed_sandbox(sandbox.name) as borrowed:\n"
    code += "  print(borrowed.status().running, flush=True); time.sleep(100)"
    with in_background(code, idle.name) as borrower:
        assert borrower.stdout is not None
        assert borrower.stdout.readline() == "True\n"
        borrower.terminate()
        borrower.communicate()
    assert borrower.returncode == 128 + signal.SIGTERM
    assert processes_of(idle.name) == {}


def test_a_borrowed_sandbox_that_ran_before_keeps_running(sandbox: Sandbox) -> None:
    before = sandbox.status().processes
    with borrowed_sandbox(sandbox.name) as borrowed:
        assert borrowed.status().processes == before
    assert sandbox.status().processes == before


def test_leftovers_of_a_killed_test_run_are_deleted_by_the_next(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    clusters = tmp_path / "clusters" / "clusters"
    kept = {f"airis-test-{os.getpid()}", "airis", f"airis-mine-{gone.pid}"}
    for name in {*kept, f"airis-test-{gone.pid}", f"airis-faults-{gone.pid}"}:
        (clusters / name).mkdir(parents=True)

    remove_abandoned(tmp_path)

    assert {folder.name for folder in clusters.iterdir()} == kept
