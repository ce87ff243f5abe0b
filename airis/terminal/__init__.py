"""User interaction of the command line: errors, progress, signals, warnings, and input files of options."""
