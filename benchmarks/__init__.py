"""Benchmarks, as ratios that do not depend on the machine. `make bench` writes docs/benchmarks.md."""
