# A newcomer needs two commands: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Without compiled modules, each of the thousands of processes that the tests start would take twice as long.
unexport PYTHONDONTWRITEBYTECODE
# Behind a TLS-inspecting proxy, uv must use the system's certificates.
export UV_SYSTEM_CERTS := true

EXAMPLES := examples/payslip.pdf examples/certificate-photo.jpg examples/signed-forms.tiff

# Compiled catalogs are not in git. Installation compiles them; make recompiles them after a pull.
CATALOGS := $(wildcard src/docsend/locale/*/LC_MESSAGES/docsend.po)
COMPILED := $(CATALOGS:.po=.mo)

.PHONY: demo test test-pythons test-lowest coverage setup format lint types docs pictures bench faults corpus tables lock clean

## demo: install into .venv, send three real documents to the sandbox, print the receipt
demo: $(VENV)/.run $(COMPILED)
	@DOCSEND_HOME=$(VENV)/demo $(BIN)/docsend send $(EXAMPLES) --service sandbox --to benefits --subject unemployment \
	    --category employer --type payslips --id 000000018 --reference demo --no-input

## test: lint, types and tests; the tests of the HTTP client run again with httpx2 instead of httpx
HTTP_TESTS := $(patsubst %,tests/service/test_%.py,deadlines http interrupts network)
test: lint types $(COMPILED)
	$(BIN)/python -m pytest -n auto --dist loadfile
	$(BIN)/python -m pytest -n auto --httpx2 $(HTTP_TESTS)

## test-pythons: run the suite on every CPython from 3.11 found here; with SESSION=sample, a part of it on all but
## the one in .venv
SESSION ?= suite
test-pythons: $(VENV)/.dev
	$(BIN)/nox --tags $(SESSION)

## test-lowest: run the suite with the lowest versions that pyproject.toml allows; everything else is as locked
LOWEST := .venv-lowest
test-lowest: $(VENV)/.dev
	$(PIP) install uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --no-header --no-annotate \
	    --extra sandbox --extra tables --extra pdf --extra documents pyproject.toml \
	    --output-file $(LOWEST)/lowest.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST) --no-verify-hashes -r requirements/dev.lock \
	    --override $(LOWEST)/lowest.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST) --no-deps --no-build-isolation --editable .
	$(LOWEST)/bin/python -m pytest -n auto --dist loadfile $(OPTIONS)

## coverage: report the lines and branches that the suite does not run. Tests that fail when every process starts
## and ends slowly, or writes another file, are excluded
UNMEASURED := --ignore tests/test_speed.py \
    --deselect tests/test_signals.py::test_a_signal_at_any_moment_of_a_run_shows_no_traceback \
    --deselect "tests/test_faults.py::test_a_sample_of_faults_loses_nothing_and_duplicates_nothing[client errnos]"
COVERAGE := $(VENV)/coverage
coverage: export COVERAGE_FILE := $(abspath $(COVERAGE))/data
coverage: $(VENV)/.dev $(COMPILED)
	rm -rf $(COVERAGE)
	mkdir $(COVERAGE)
	failed=0; \
	$(BIN)/coverage run -m pytest -n auto --dist loadfile $(UNMEASURED) || failed=1; \
	$(BIN)/coverage run -m pytest -n auto --httpx2 $(HTTP_TESTS) || failed=1; \
	$(BIN)/coverage combine --quiet; \
	rm -f $(COVERAGE)/data.*; \
	$(BIN)/coverage report | tee $(COVERAGE)/report.txt; \
	$(BIN)/coverage report --format total > $(COVERAGE)/total; \
	exit $$failed

## setup: install the system packages that some tests need (Debian, as root)
setup:
	@$(PYTHON) tests/system.py

## format: fix style and formatting
format: $(VENV)/.dev
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

## lint: check style, formatting, layering, and whether generated files are up to date
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache > $(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }
	$(BIN)/python tools/catalog/build.py --check
	$(BIN)/python tools/cli/build.py --check
	$(BIN)/python tools/locale/build.py --check
	$(BIN)/python tools/man/build.py --check

## types: run strict mypy for each platform
types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/mypy --platform win32
	$(BIN)/mypy --platform darwin

## docs: regenerate completions, manual pages, translations, and tables in the documents
docs: $(VENV)/.dev
	$(BIN)/python tools/catalog/build.py
	$(BIN)/python tools/cli/build.py
	$(BIN)/python tools/locale/build.py
	$(BIN)/python tools/man/build.py
	$(BIN)/python tests/bad_input.py
	$(BIN)/python tests/bad_manifests.py
	$(BIN)/python tests/exactly_once.py
	$(BIN)/python tests/problem_cases.py

## pictures: redraw docs/pictures/*.svg from real runs
pictures: $(VENV)/.dev
	cd tests && $(abspath $(BIN))/python pictures.py

## bench: compare with the budgets and other programs, about 20 minutes; writes docs/benchmarks.md
bench: $(VENV)/.dev
	$(BIN)/python bench/run.py --write

## faults: run the whole fault laboratory, about an hour; writes docs/fault-report.md
faults: $(VENV)/.dev
	rm -f $(VENV)/faults.jsonl
	cd tests && $(abspath $(BIN))/python -m faults --record $(abspath $(VENV))/faults.jsonl \
	    --write ../docs/fault-report.md

## corpus: have docsend and other programs judge 9,000 documents, about 10 minutes; writes docs/corpus-report.md.
## requirements/corpus.txt lists the system packages that it needs
corpus: $(VENV)/.dev $(COMPILED)
	cd tests && PYTHONPATH=../bench $(abspath $(BIN))/python -m corpus --write ../docs/corpus-report.md

## tables: have docsend read 5,900 tables and hold them against what was put in, and open reports in
## LibreOffice, several minutes; writes docs/tables-report.md. Without LibreOffice, there are fewer tables
tables: $(VENV)/.dev $(COMPILED)
	cd tests && $(abspath $(BIN))/python -m tables --write ../docs/tables-report.md

## lock: compile the locked requirements (uv resolves for all platforms at once)
lock: $(VENV)/.dev
	$(PIP) install uv
	for name in run dev; do \
	    extra=$$([ $$name = dev ] && echo --extra documents requirements/dev.in); \
	    $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	        --no-emit-index-url --no-header --no-annotate --extra sandbox --extra tables --extra pdf \
	        pyproject.toml requirements/build.in $$extra --output-file requirements/$$name.lock; \
	done

clean:
	rm -rf $(VENV) $(LOWEST) .nox dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Recreate an environment without pip (as Debian without python3-venv leaves) or without its Python.
ifneq ($(shell $(BIN)/python -c 'import pip' 2>/dev/null && echo sound),sound)
.PHONY: $(BIN)/python
endif

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "docsend needs Python 3.11 or newer")'
	@echo "creating $(VENV) and installing into it; this takes about 20 seconds and needs a package index"
	@$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.run: $(BIN)/python requirements/run.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements/run.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

%.mo: %.po tools/locale/hatch_build.py | $(VENV)/.run
	$(BIN)/python tools/locale/hatch_build.py

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	$(PIP) install --require-hashes -r requirements/dev.lock
	@touch $@
