# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Real Pythons go before a version manager's stand-ins, which are found but need not run. ansible-test looks for them in PATH too.
PYTHONS := $(shell ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.*/bin 2>/dev/null | sort --reverse --version-sort | tr '\n' ':')
BASE_PATH := $(PYTHONS)$(PATH)
export PATH := $(CURDIR)/.venv/bin:$(BASE_PATH)
# The checkout under the name that Ansible wants, whatever its folder is called.
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.build/link
export PYTHONPATH := $(CURDIR)/.build/link
export ANSIBLE_HOME := $(CURDIR)/.build/ansible
export ANSIBLE_LOCALHOST_WARNING := false
export LC_ALL := C.UTF-8
export PYTHONUNBUFFERED := 1

LINK := .build/link/ansible_collections/diskwise/vm
# The arguments after the suite's parts go to pytest: make unit ARGS="-k compose -x"
SUITE := python -m tests.tools.suite
ARGS ?=

##@ The two that matter
.PHONY: demo test
demo: setup $(LINK) ## Show the collection at work on a small virtual machine of its own
	@tests/tools/venv .venv-demo requirements-demo.txt
	@PATH="$(CURDIR)/.venv-demo/bin:$(BASE_PATH)" demo/run $(ARGS)

test: ready ## Run everything that CI runs; the last line says "N passed, M failed"
	@$(SUITE)

##@ Parts of "make test"
.PHONY: lint tools unit page roles roles-ovirt molecule docsite docs-blocks lab contract ovirt truth test-emulator crash sanity package
lint: ready ## ruff, mypy, yamllint, ansible-lint and antsibull
	@$(SUITE) --jobs 2 lint

tools: ready ## Tests of the tools of the test suite
	@$(SUITE) tools -- $(ARGS)

unit: ready ## Tests without a hypervisor
	@$(SUITE) unit -- $(ARGS)

page: ready ## Tests of the composer page, in a real browser and on real VMs
	@$(SUITE) page -- $(ARGS)

roles: ready ## Each playbook and role on a real libvirt: twice, in check mode, with a death in the middle
	@$(SUITE) roles -- $(ARGS)

roles-ovirt: ready ## The same on the engine emulator
	@$(SUITE) roles-ovirt -- $(ARGS)

molecule: ready ## Each role by itself
	@$(SUITE) molecule

docsite: ready ## Build the documentation, follow its links, play its guides
	@$(SUITE) docsite docsite-ovirt -- $(ARGS)

docs-blocks: ready ## Play the examples of README and modules
	@$(SUITE) docs-blocks -- $(ARGS)

lab: ready ## Tests of the small guests and the private libvirt that tests and demonstration use
	@$(SUITE) lab -- $(ARGS)

contract: ready ## What every backend must do, on a real libvirt
	@$(SUITE) contract -- $(ARGS)

ovirt: ready ## The same, and what only an oVirt engine does, on the engine emulator
	@$(SUITE) ovirt -- $(ARGS)

truth: ready ## Compare the engine emulator with the transcripts of a real engine
	@$(SUITE) truth -- $(ARGS)

test-emulator: ready ## Tests of the engine emulator itself
	@$(SUITE) emulator -- $(ARGS)

crash: ready ## Deaths in the middle of the work, and what the next run makes of them
	@$(SUITE) crash -- $(ARGS)

sanity: ready ## ansible-test sanity with each supported ansible-core
	@$(SUITE) --jobs 2 sanity

package: ready ## Build the tarball, install it offline, use it, import it
	@$(SUITE) package -- $(ARGS)

##@ Others
.PHONY: bench coverage docs emulator format ui
docs: ready ## Build the documentation into build/docs
	@python docs/docsite/build.py

ui: ready ## Build the composer page anew; what was built is committed
	@ui/build

emulator: ready ## An engine emulator with a small VM, to try playbooks without an engine; prints what to export
	@python -m tests.emulator --port 8443 --ca-out build/emulator-ca.pem --exports $(ARGS)

bench: ready ## Measure how long things take
	@python -m tests.bench $(ARGS)

coverage: ready ## Which lines and branches the unit tests reach
	@python -m coverage run -m pytest -q tests/unit $(ARGS)
	@python -m coverage report

format: ready ## Let ruff mend what it can
	@ruff check --fix-only .
	@ruff format .

##@ Preparation
.PHONY: help setup .venv ready clean distclean
help: ## Show this
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z.-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## Install the system packages that are missing (says which; needs root if there are any)
	@tests/tools/system-packages

.venv: setup ## Make the virtual environment for development
	@PATH="$(BASE_PATH)" tests/tools/venv .venv requirements-dev.txt

$(LINK):
	@mkdir -p $(@D)
	@ln -sfn ../../../.. $@

ready: .venv $(LINK)

clean: ## Remove what was generated, but not the virtual environments
	rm -rf ui/node_modules .build build .ansible .ruff_cache .mypy_cache .pytest_cache .hypothesis tests/output
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## Remove the virtual environments as well
	rm -rf .venv .venv-demo
