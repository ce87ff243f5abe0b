"""Rehearses a stack: applies it to a real control plane on this machine, and reports on each object."""
