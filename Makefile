# One word for each thing one does here. Python 3.11 or newer is all that is needed to begin.
PYTHON ?= python3
VENV ?= .venv
# Test files at once: most of their time they wait for engines.
JOBS ?= 3
FAULTS ?= 150
BIN = $(VENV)/bin

.PHONY: help demo test coverage mutants torture lint bench bench-peers docs engines sandbox clean

help:
	@echo "make demo     see the real Claude Code do a small task in every mode this machine has; no account needed"
	@echo "make test     all tests that this machine can run"
	@echo "make coverage the same tests, with the share of lines that they run"
	@echo "make mutants  see whether the tests of values, streams, secrets and statistics notice a change"
	@echo "make engines  install and start what the tests use (Debian, root); elsewhere say what is missing"
	@echo "make torture  many runs under random faults; on a shared machine WITHOUT='restart engine,pause engine'"
	@echo "make docs     the documents as pages that need no network, in build/site"
	@echo "make lint     ruff and mypy"
	@echo "make bench    the figures, each beside what it is compared with"
	@echo "make bench-peers  the same work beside other tools, which it installs apart; ten minutes"
	@echo "make sandbox  the tests of mode sandbox on your own Docker sandboxes, with a report to send"
	@echo "make clean    remove what these made here"

# Each of the two is made anew when the project's own list of packages has changed.
$(VENV)/demo.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what it needs into $(VENV); this takes a minute, once"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local]'
	touch $@

$(VENV)/test.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

$(VENV)/docs.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

demo: $(VENV)/demo.stamp
	$(BIN)/ccnb demo

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

coverage: $(VENV)/test.stamp
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(TESTS)
	$(BIN)/python -m tools.coverage

mutants: $(VENV)/test.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tools/mutants.txt
	$(BIN)/python -m tools.mutants $(MODULES)

torture: $(VENV)/test.stamp
	$(BIN)/python -m tests.torture --faults $(FAULTS) $(if $(SEED),--seed $(SEED)) $(if $(FROM),--from $(FROM)) \
		$(if $(WITHOUT),--without '$(WITHOUT)')

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/test.stamp
	$(BIN)/python -m bench

bench-peers: $(VENV)/test.stamp
	$(BIN)/python -m bench.peers $(if $(QUICK),--quick)

sandbox: $(VENV)/test.stamp
	$(BIN)/python tools/sandbox_report.py $(LIVE)

docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "build/site/index.html; for its search: $(BIN)/python -m http.server --bind 127.0.0.1 -d build/site"

engines:
	tools/engines.sh

clean:
	rm -rf $(VENV) .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
