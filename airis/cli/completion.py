"""Shell completion: Typer's, with a different script for zsh.

Typer's zsh script does nothing at the first Tab of a shell: zsh loads a function file by running it, and Typer's only
registers itself. It also runs the program on PATH instead of the one that was typed, such as `.venv/bin/airis`.
"""

from typer import _completion_shared as typers

_ZSH = """
#compdef %(prog_name)s

%(complete_func)s() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" %(autocomplete_var)s=complete_zsh ${~words[1]})
}

compdef %(complete_func)s %(prog_name)s
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  %(complete_func)s "$@"
fi
"""


def use_own_script() -> None:
    """Makes `--show-completion` and `--install-completion` write this script for zsh."""
    typers._completion_scripts["zsh"] = _ZSH
