"""The command, and the scripts that pods run, as processes of their own: git, shells, signals, streams, real databases."""
