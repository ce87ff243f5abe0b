"""Shell completion: Typer's, with another script for zsh.

Typer's own does nothing at the first Tab of a shell: zsh loads a function file by running it, and that one only registers
itself. It also runs the program that is on PATH, and not the one that is typed, such as `.venv/bin/airis`.
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
    """Has `--show-completion` and `--install-completion` write this script in zsh."""
    typers._completion_scripts["zsh"] = _ZSH
