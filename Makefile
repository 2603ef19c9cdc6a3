# What one does with a checkout. Everything is installed below .environments; nothing outside the checkout is touched,
# but for the working directory of jobs under /var/tmp, which `make demo-clean` removes.
#
# PYTHON names the interpreter the environments are built on; ARCHITECTURES what `make demo` and `make study` compare, if
# not the architectures of the protocol, for example `make demo ARCHITECTURES=mace,grace`: their environments are made;
# SIZE how large `make lithium-study` is, small or tiny.

SHELL := bash
PYTHON ?= python3
export PYTHON
export ARCHITECTURES
SIZE ?= small

INSTALL := examples/demo/install.sh
BIN := .environments/aiida/bin

.DEFAULT_GOAL := help
.PHONY: help install demo study lithium-study demo-clean test test-torch test-slow lint docs benchmarks long-range-speed

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install:  ## the AiiDA environment, the engine environment, and those of ARCHITECTURES
	@$(INSTALL) aiida
	@$(INSTALL) engines "$(ARCHITECTURES)"

demo: install  ## the benchmark of charged interfaces in small: label, train, run, compare, report
	@examples/demo/run.sh fast results/demo

# A literal list within $(or ...) would be split at its commas.
THREE_ARCHITECTURES := mace,deep_potential,grace
STUDY_ARCHITECTURES := $(or $(ARCHITECTURES),$(THREE_ARCHITECTURES))

study: install  ## the study of the manual; CPU hours; can be stopped and called again
	@$(INSTALL) engines "$(STUDY_ARCHITECTURES)"
	@ARCHITECTURES="$(STUDY_ARCHITECTURES)" examples/demo/run.sh study results/study

lithium-study: install  ## the study of Li in LiF of the manual; CPU hours; can be stopped and called again
	@$(INSTALL) engines sevennet
	@examples/lithium/run.sh $(SIZE)

demo-clean:  ## stop the daemon; remove profile, results and environments
	@REMOVE_STUDY=$(REMOVE_STUDY) examples/demo/clean.sh

test:  ## all tests that need no engine
	@$(INSTALL) aiida tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-torch:  ## the tests of what runs in PyTorch, in an environment that has it and no AiiDA
	@$(INSTALL) aiida
	@$(INSTALL) torch
	EDL_TESTS_NEED_TORCH=1 OMP_NUM_THREADS=1 .environments/mace/bin/python -m pytest $$(grep -rl "importorskip('torch')" tests)

test-slow: install test-torch  ## the tests that run engines
	@$(INSTALL) aiida tests
	@$(INSTALL) crosscheck
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

lint:  ## format, style, types, layers, spelling
	@$(INSTALL) aiida dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell

docs:  ## the manual, into docs/build/html; a warning is an error
	@$(INSTALL) aiida docs
	$(BIN)/sphinx-build --nitpicky --fail-on-warning --keep-going --fresh-env docs/source docs/build/html

benchmarks: install  ## time the parts whose speed matters
	@$(INSTALL) engines deepmd_lammps
	@$(INSTALL) crosscheck
	@source examples/demo/activate; mkdir -p "$$AIIDA_PATH/.aiida"; failed=0; \
	for program in examples/benchmarks/*.py; do \
		command=(python "$$program"); \
		[[ $$program != */long_range.py ]] || command=(.environments/engines/bin/python "$$program" --quick --output results/quick.json); \
		[[ $$program != */electrostatic_ladder.py ]] || command=(.environments/engines/bin/python "$$program" --sizes 100,400 --rounds 3); \
		printf '\n%s\n' "$$program"; mkdir -p results; rm -f results/quick.json; "$${command[@]}" || { failed=1; printf '%s failed\n' "$$program" >&2; }; \
	done; exit $$failed

long-range-speed: install  ## time sums over charges for the manual; two hours; can be stopped and called again
	@mkdir -p results
	.environments/engines/bin/python examples/benchmarks/long_range.py --output results/long_range.json \
		--render docs/source/topics/long_range_speed
