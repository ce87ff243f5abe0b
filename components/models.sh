# Runs in the containers of the model Job: sh models.sh VERB [MODEL [FILE OR OPTION]]
#
# It uses the server at OLLAMA_HOST, and waits up to PATIENCE_SECONDS for it. All containers of the pod share the directory $HOME.
# Failures are recorded there, so that the following models are still processed; without a server, they are skipped. At the end,
# `result` prints the failures, and fails the pod.
verb=$1
model=$2

if [ "$verb" = result ]; then
  [ -e "$HOME/failures" ] || exit 0
  cat "$HOME/failures" >&2
  exit 1
fi

# Runs a command. Its output goes to the log, and is kept
try() {
  rm -f "$HOME/failed"
  { "$@" 2>&1 || : >"$HOME/failed"; } | tee "$HOME/said"
  [ ! -e "$HOME/failed" ]
}

# The last error of the command
reason() {
  found=$(sed -n 's/.*Error: //p' "$HOME/said" | tail -n 1)
  echo "${found:-no reason was given}"
}

if [ -e "$HOME/unreachable" ]; then
  echo "skipping $verb $model: Ollama is not reachable"
  exit
fi
deadline=$(($(date +%s) + PATIENCE_SECONDS))
until ollama ps >"$HOME/said" 2>&1; do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    : >"$HOME/unreachable"
    echo "airis: Ollama is not reachable at $OLLAMA_HOST after $PATIENCE_SECONDS s: $(reason)" | tee -a "$HOME/failures" >&2
    exit
  fi
  sleep 1
done

case "$verb" in
  remove) try ollama rm "$model" || grep -qF "model '$model' not found" "$HOME/said" ;;
  pull) try ollama pull "$model" ;;
  ensure)
    # `ollama pull` connects to the registry even for an existing model, and fails without one
    if ollama show "$model" >/dev/null 2>&1; then echo "$model already exists"; else try ollama pull "$model"; fi
    ;;
  create) try ollama create "$model" -f "$3" ;;
  load)
    # Without a prompt, the model is only loaded; an embedding model requires text
    try ollama run ${3:+"$3"} "$model" "" || {
      grep -qF "embedding models require input text" "$HOME/said" &&
        try ollama run ${3:+"$3"} "$model" "loaded" >/dev/null
    }
    ;;
esac && exit

echo "airis: $verb $model failed: $(reason)" | tee -a "$HOME/failures" >&2
