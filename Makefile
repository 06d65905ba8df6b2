# The two commands of a new user are `make demo` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo
# More words for pip, for example to take another build of torch: see README, "Which torch".
PIP_ARGS ?= -c constraints.txt

.PHONY: help setup demo test check faults soak slow wheel asyncapi reference bench format packages install-service uninstall-service clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.done ## Make the environment in .venv

$(VENV)/.done: pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) tools/make_venv.sh $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS) -e '.[dev]'
	@touch $@

$(DEMO)/line.mp4: tools/simulate_line.py | $(VENV)/.done
	@mkdir -p $(DEMO)
	$(BIN)/python tools/simulate_line.py $@ --truth $(DEMO)/line.truth.json --wells-out $(DEMO)/line.wells.toml

demo: $(VENV)/.done $(DEMO)/line.mp4 ## Simulate a casting line, watch it, and show what was found
	$(BIN)/spillwatch replay $(DEMO)/line.mp4 --wells $(DEMO)/line.wells.toml --truth $(DEMO)/line.truth.json \
	  --events $(DEMO)/events.jsonl --json $(DEMO)/score.json \
	  --annotated $(DEMO)/annotated.mp4 --report $(DEMO)/report.html

packages: ## Install the Debian packages that system tests use (as root), or say what is skipped
	@tools/system_packages.sh

test: $(VENV)/.done packages check ## Check the code, then run every test
	$(BIN)/python -m pytest

slow: $(VENV)/.done packages ## Run the tests that are too long for `make test`
	$(BIN)/python -m pytest -m slow

check: $(VENV)/.done ## Lint, types, import layers, and known vulnerabilities of what is installed
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/python -m tools.audit

faults: $(VENV)/.done packages ## Do every fault to the real daemon, seeded (half an hour; FAULTS="--help" says more)
	$(BIN)/python -m tools.faults $(FAULTS)

wheel: $(VENV)/.done ## Build the wheel, with the systemd unit in it, into build/wheel
	$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --wheel-dir build/wheel .

asyncapi: $(VENV)/.done ## Write docs/asyncapi.yaml, the topics and payloads, from the records
	$(BIN)/python -m tools.asyncapi

reference: $(VENV)/.done ## Write docs/reference, the command line, settings and words, from the code
	$(BIN)/python -m tools.reference

soak: $(VENV)/.done packages ## Four cameras and sprinkled faults for ten minutes (FACTOR=1: two hours)
	$(BIN)/python -m tools.faults --only soak --factor $(or $(FACTOR),0.0834)

format: $(VENV)/.done ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.done ## Print ratios, measured side by side in one run
	$(BIN)/python -m tools.bench

install-service: ## Install the daemon as a systemd service (as root)
	systemd/install.sh

uninstall-service: ## Take the service away again; settings and state stay (as root)
	systemd/uninstall.sh

clean: ## Remove what was made
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
