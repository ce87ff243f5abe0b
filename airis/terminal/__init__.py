"""User interaction: errors, progress, signals, warnings, and input files."""
