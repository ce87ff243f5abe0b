# What a container of the models' Job does: sh models.sh VERB [MODEL [FILE OR OPTION]]
#
# It asks the server at OLLAMA_HOST. $HOME is a folder that all containers of the pod share. What fails is noted there, so that
# the models after it still have their turn. In the end, `result` says what failed, and fails the pod.
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

reason=$(sed -n 's/.*Error: //p' "$HOME/said" | tail -n 1)
echo "airis: $verb $model failed: ${reason:-no reason was given}" | tee -a "$HOME/failures" >&2
