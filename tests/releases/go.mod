// Ollama, pinned. This module holds no code: a test reads the names of Ollama's environment variables from the source of
// exactly this version and this checksum (go.sum).
module airis/tests/releases

go 1.24

require github.com/ollama/ollama v0.17.4
