# Two commands for people: `make demo` and `make test`. Both set everything up first, from this folder alone.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup packages demo test bench bench-full format lock docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: setup ## the whole platform on real meter readings, ending with a table (ARGS="--json FILE" for data)
	@exec $(BIN)/standby demo $(ARGS)

test: setup ## all checks: format, lint, types, layers, Lua, unit, property, integration, end to end
	@exec tools/check

bench: setup ## what standby servers cost, against the goals (ARGS="--quick --json FILE")
	@exec $(BIN)/python -m bench.micro $(ARGS)

bench-full: setup ## the evaluation: approaches compared, under an hour, report in bench-full/ (ARGS="--metrics-port 0")
	@exec $(BIN)/python -m bench.experiment full --out bench-full $(ARGS)

setup: packages $(VENV)/.done ## the virtual environment and Debian's packages
	@[ "$(MAKECMDGOALS)" != setup ] || echo "ready: try \`make demo\`, or go on with README.md, section \"Use it\""

packages:
	@tools/debian-packages

$(VENV)/.done: requirements.txt pyproject.toml tools/make-venv
	@tools/make-venv $(VENV)

format: setup ## rewrite the sources in the project's format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

docs: setup ## write the generated reference pages again
	@$(BIN)/python -m tools.reference

lock: setup ## choose versions of the dependencies anew, with hashes
	@tools/lock

clean: ## remove what setup made in this folder
	@rm -rf $(VENV) .cache *.egg-info
