// Says what Ollama itself makes of Modelfiles, environments and names: JSON in, JSON out.
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"sort"
	"strings"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/envconfig"
	"github.com/ollama/ollama/parser"
	"github.com/ollama/ollama/types/model"
)

type question struct {
	Modelfiles   []string            `json:"modelfiles"`
	Environments []map[string]string `json:"environments"`
	Names        []string            `json:"names"`
}

type request struct {
	Request *api.CreateRequest `json:"request,omitempty"`
	Error   string             `json:"error,omitempty"`
}

type answer struct {
	Requests   []request           `json:"requests"`
	Values     []map[string]string `json:"values"`
	FullNames  []string            `json:"full_names"`
	Parameters []string            `json:"parameters"`
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	told := answer{Parameters: parameters()}
	for _, text := range asked.Modelfiles {
		told.Requests = append(told.Requests, parse(text))
	}
	for _, environment := range asked.Environments {
		for name, value := range environment {
			os.Setenv(name, value)
		}
		told.Values = append(told.Values, envconfig.Values())
		for name := range environment {
			os.Unsetenv(name)
		}
	}
	for _, name := range asked.Names {
		full := ""
		if parsed := model.ParseName(name); parsed.IsValid() {
			full = parsed.String()
		}
		told.FullNames = append(told.FullNames, full)
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		panic(err)
	}
}

func parse(text string) request {
	file, err := parser.ParseFile(strings.NewReader(text))
	if err != nil {
		return request{Error: err.Error()}
	}
	made, err := file.CreateRequest("/nonexistent")
	if err != nil {
		return request{Error: err.Error()}
	}
	return request{Request: made}
}

func parameters() (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeOf(api.Options{})) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}
