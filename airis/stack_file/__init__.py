"""Stack files: how they are read, written by `airis init`, completed in editors, and documented."""
