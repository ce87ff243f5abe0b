"""Fixtures shared with the unit tests."""

from tests.unit.conftest import command, project

__all__ = ["command", "project"]
