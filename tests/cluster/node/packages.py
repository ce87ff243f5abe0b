"""Debian packages for a node and its images: apt-get installs missing ones, with one line of progress."""

import os
import shutil
import subprocess
from collections.abc import Sequence

from airis.terminal.errors import EnvironmentProblem
from airis.terminal.progress import step

NODE = (
    "containernetworking-plugins",
    "conntrack",
    "ebtables",
    "ethtool",
    "gcc",
    "ipset",
    "iproute2",
    "iptables",
    "libc6-dev",
    "libseccomp-dev",
    "openssl",
    "pkg-config",
    "socat",
    "util-linux",
)
"""Packages that kubelet, kube-proxy, kube-router and containerd use, and that runc is built with."""

_SECONDS = 600


def missing(names: Sequence[str]) -> list[str]:
    """The missing packages; all of them without dpkg."""
    if shutil.which("dpkg-query") is None:
        return list(names)
    query = ["dpkg-query", "--show", "--showformat=${binary:Package} ${db:Status-Status}\n", *names]
    lines = subprocess.run(query, capture_output=True, text=True, timeout=60, check=False).stdout.splitlines()
    installed = {line.partition(" ")[0].partition(":")[0] for line in lines if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def ensure(names: Sequence[str] = NODE) -> None:
    """Installs the missing packages.

    Raises EnvironmentProblem with the last lines of apt-get if it fails.
    """
    if not (wanted := missing(names)):
        return
    with step(f"Installing the Debian packages {', '.join(wanted)}"):
        install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *wanted]
        done = _apt(install)
        if done.returncode:  # usually because its lists are older than the archive
            _apt(["apt-get", "update", "--quiet"])
            done = _apt(install)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise EnvironmentProblem(f"apt-get could not install {', '.join(wanted)}:\n{last}", "install them by hand")


def _apt(command: list[str]) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentProblem(
            f"{' '.join(command[:2])}: {error}", "the packages come from Debian or Ubuntu"
        ) from None
