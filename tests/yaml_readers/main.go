// Says what the programs that read airis's YAML make of it: JSON in, JSON out.
package main

import (
	"encoding/json"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"sigs.k8s.io/yaml"
)

type question struct {
	// Stacks are texts of stack files, for the engine.
	Stacks []string `json:"stacks"`
	// Manifests are texts of YAML documents, for kubectl.
	Manifests []string `json:"manifests"`
}

type reading struct {
	// Config is what the engine hands to the program: text by key, with objects as JSON.
	Config map[string]string `json:"config,omitempty"`
	// Object is what kubectl sends to the API server.
	Object json.RawMessage `json:"object,omitempty"`
	Error  string          `json:"error,omitempty"`
}

type answer struct {
	Stacks    []reading `json:"stacks"`
	Manifests []reading `json:"manifests"`
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	told := answer{}
	for _, text := range asked.Stacks {
		told.Stacks = append(told.Stacks, engine(text))
	}
	for _, text := range asked.Manifests {
		told.Manifests = append(told.Manifests, kubectl(text))
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		panic(err)
	}
}

// engine reads a stack file as `pulumi up` does: twice, as LoadProjectStackBytes in sdk/go/common/workspace/loaders.go, whose
// package needs modules that are not public.
func engine(text string) reading {
	var raw map[string]any
	if err := encoding.YAML.Unmarshal([]byte(text), &raw); err != nil {
		return reading{Error: err.Error()}
	}
	again, err := encoding.YAML.Marshal(raw)
	if err != nil {
		return reading{Error: err.Error()}
	}
	var stack struct {
		Config config.Map `yaml:"config"`
	}
	if err := encoding.YAML.Unmarshal(again, &stack); err != nil {
		return reading{Error: err.Error()}
	}
	values, err := stack.Config.Decrypt(config.NewPanicCrypter())
	if err != nil {
		return reading{Error: err.Error()}
	}
	told := map[string]string{}
	for key, value := range values {
		told[key.String()] = value
	}
	return reading{Config: told}
}

// kubectl reads one document as `kubectl apply` does (k8s.io/apimachinery, pkg/util/yaml).
func kubectl(text string) reading {
	object, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return reading{Error: err.Error()}
	}
	return reading{Object: object}
}
