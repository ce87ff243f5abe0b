"""Tools for contributors: outdated pins, and the tests that a change concerns."""
