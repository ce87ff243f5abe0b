"""The fixtures of the unit tests that these tests use as well."""

from tests.unit.conftest import command, project

__all__ = ["command", "project"]
