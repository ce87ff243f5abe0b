# make up    [STACK=cpu|gpu]  deploy the stack; without a cluster, rehearse it
# make test                   lint, types, unit tests, rehearsals on a real control plane
# make quick                  the checks that your change concerns, in under a minute
# make test-cluster           end-to-end tests on a real cluster
# make test-app               effects of the settings in the real Open WebUI
STACK ?= cpu
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Otherwise each of some hundred processes compiles the project anew
unexport PYTHONDONTWRITEBYTECODE
# Unit tests wait now and then: three processes keep two cores busy
SMALL := --numprocesses=3
# Tests on the sandbox mostly wait: six processes, each with its own sandbox (1 GB), keep two cores busy
PARALLEL := --numprocesses=6 --dist=loadscope --no-loadscope-reorder
# Stories mostly wait for pods: two processes, each with its own node (2 GB)
STORIES := --numprocesses=2 --dist=loadscope --no-loadscope-reorder --durations=20
IMAGES := tests/cluster/images/locks
EXPORTERS := tests/app/exporters

.PHONY: help up test test-app test-cluster quick lint types unit sandbox rehearsal engine soak bench reference docs pictures lock outdated clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.run ## Deploy STACK (default cpu); without a cluster, rehearse it
	@$(BIN)/airis up --stack $(STACK) --rehearse-without-cluster

test: lint types unit sandbox ## Lint, types, unit tests, rehearsals, and checks with the pinned releases
	$(BIN)/pytest --ignore=tests/unit $(PARALLEL)

test-app: $(VENV)/.dev ## Test the effects of the settings in the real Open WebUI (downloads 7 GB once)
	@$(BIN)/python -m tests.app.environment
	$(BIN)/pytest tests/app

test-cluster: $(VENV)/.dev ## End-to-end tests on a real node (Linux, root), or on $$AIRIS_TEST_KUBECONFIG
	@$(BIN)/python -m tests.cluster
	$(BIN)/pytest tests/cluster $(STORIES)

lint: $(VENV)/.dev ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

unit: $(VENV)/.dev ## Unit tests only: no control plane
	$(BIN)/pytest tests/unit $(SMALL)

quick: lint types ## Style, types, and the tests that your change concerns: under a minute
	@tests="$$($(BIN)/python -m maintenance.touched)"; if [ -n "$$tests" ]; then $(BIN)/pytest $$tests $(SMALL); fi

sandbox: $(VENV)/.run ## Download or build the control plane for rehearsals
	@$(BIN)/airis sandbox build

rehearsal: $(VENV)/.dev ## Rehearsal tests only, on the sandbox
	$(BIN)/pytest tests/rehearsal $(PARALLEL)

engine: $(VENV)/.dev ## Tests with the real Pulumi engine; needs pulumi on PATH
	$(BIN)/pytest tests/engine

soak: $(VENV)/.dev ## Apply 200 random changes to a stack in sequence
	AIRIS_SOAK=200 $(BIN)/pytest -s tests/rehearsal/test_soak.py

bench: $(VENV)/.dev ## Run the benchmarks
	$(BIN)/python -m benchmarks

reference: $(VENV)/.dev ## Generate from settings/: Pulumi.yaml's config section, docs/config.md, the JSON Schema
	$(BIN)/python -m airis.stack_file.reference

docs: $(VENV)/.dev ## Build the site of docs/ into site/; it works offline
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

pictures: $(VENV)/.dev ## Render the output of commands into docs/img/
	$(BIN)/python -m documentation.pictures

LOCK := $(BIN)/uv pip compile -q --generate-hashes --no-header --no-annotate -U
HERE := --universal --python-version 3.11
DEBIAN := --python-version 3.11.2 --python-platform x86_64-unknown-linux-gnu

lock: $(VENV)/.dev ## Update the pins of all Python dependencies, by version and hash
	$(LOCK) $(HERE) pyproject.toml -o requirements.txt
	$(LOCK) $(HERE) pyproject.toml --group dev -o requirements-dev.txt
	$(LOCK) $(HERE) tests/app/requirements.in -o tests/app/requirements.txt
	$(LOCK) $(HERE) $(EXPORTERS)/image.in --excludes $(EXPORTERS)/without.txt -o $(EXPORTERS)/image.txt
	$(LOCK) $(HERE) $(EXPORTERS)/newest.in --excludes $(EXPORTERS)/without.txt -o $(EXPORTERS)/newest.txt
	$(LOCK) $(HERE) tests/app/postgresql/requirements.in -o tests/app/postgresql/requirements.txt
	$(LOCK) $(HERE) tests/app/servers/requirements.in -o tests/app/servers/requirements.txt
	$(LOCK) $(HERE) $(IMAGES)/build-requirements.in -o $(IMAGES)/build-requirements.txt
	$(LOCK) $(HERE) $(IMAGES)/llama-requirements.in --no-deps --no-binary llama-cpp-python -o $(IMAGES)/llama-requirements.txt
	$(LOCK) $(DEBIAN) $(IMAGES)/open-webui-requirements.in --excludes $(IMAGES)/without.txt -o $(IMAGES)/open-webui-requirements.txt
	$(LOCK) $(DEBIAN) $(IMAGES)/open-webui-before.in --excludes $(IMAGES)/without.txt -o $(IMAGES)/open-webui-before.txt
	$(LOCK) $(DEBIAN) $(IMAGES)/open-webui-whole.in -o $(IMAGES)/open-webui-whole.txt

outdated: $(VENV)/.dev ## List outdated pins: packages, modules, images, actions
	@$(BIN)/python -m maintenance.outdated

clean: ## Remove the virtual environment and the tools' caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis airis.egg-info site

$(VENV)/.run: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "airis needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@echo "Installing the pinned dependencies into $(VENV) (about a minute the first time) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@echo "Installing the pinned tools for the tests ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
