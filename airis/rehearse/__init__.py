"""Rehearsing a stack: applied to a real control plane on this machine, and judged object by object."""
