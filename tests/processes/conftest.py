"""The fixtures of the unit tests that these tests use as well."""

from tests.unit.conftest import airis, command, no_cluster, project, refuse, registrations

__all__ = ["airis", "command", "no_cluster", "project", "refuse", "registrations"]
