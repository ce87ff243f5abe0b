"""The commands, by what they are for: options, one call, and an exit code. What they do stands beside this folder."""
