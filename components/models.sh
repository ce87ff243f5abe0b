# What a container of the models' Job does: sh models.sh VERB [MODEL [FILE OR OPTION]]
#
# It asks the server at OLLAMA_HOST, and waits PATIENCE_SECONDS for it to answer. $HOME is a folder that all containers of the pod
# share. What fails is noted there, so that the models after it still have their turn; without a server, none has one. In the
# end, `result` says what failed, and fails the pod.
verb=$1
model=$2

if [ "$verb" = result ]; then
  [ -e "$HOME/failures" ] || exit 0
  cat "$HOME/failures" >&2
  exit 1
fi

# Runs a command. What it says goes to the log, and is kept
try() {
  rm -f "$HOME/failed"
  { "$@" 2>&1 || : >"$HOME/failed"; } | tee "$HOME/said"
  [ ! -e "$HOME/failed" ]
}

# The last error of what was tried
reason() {
  found=$(sed -n 's/.*Error: //p' "$HOME/said" | tail -n 1)
  echo "${found:-no reason was given}"
}

if [ -e "$HOME/unreachable" ]; then
  echo "$verb $model is skipped: Ollama is not reachable"
  exit
fi
deadline=$(($(date +%s) + PATIENCE_SECONDS))
until ollama ps >"$HOME/said" 2>&1; do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    : >"$HOME/unreachable"
    echo "airis: Ollama is not reachable at $OLLAMA_HOST, tried for $PATIENCE_SECONDS s: $(reason)" | tee -a "$HOME/failures" >&2
    exit
  fi
  sleep 1
done

case "$verb" in
  remove) try ollama rm "$model" || grep -qF "model '$model' not found" "$HOME/said" ;;
  pull) try ollama pull "$model" ;;
  ensure)
    # `ollama pull` asks the registry even for what is there, and fails without one
    if ollama show "$model" >/dev/null 2>&1; then echo "$model is there already"; else try ollama pull "$model"; fi
    ;;
  create) try ollama create "$model" -f "$3" ;;
  load)
    # Without a prompt the model is loaded, and nothing more; one for embeddings insists on text
    try ollama run ${3:+"$3"} "$model" "" || {
      grep -qF "embedding models require input text" "$HOME/said" &&
        try ollama run ${3:+"$3"} "$model" "loaded" >/dev/null
    }
    ;;
esac && exit

echo "airis: $verb $model failed: $(reason)" | tee -a "$HOME/failures" >&2
