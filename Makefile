# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` do everything on a fresh Debian 12; the second time they are quick.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
JOBS ?= $(shell nproc)
DEMO ?=
BENCH ?=
PAGE ?= $(if $(BENCH),build/performance.md,docs/performance.md)
PYTEST ?=
PACKETS ?= 10000000
BIN := $(VENV)/bin
SHARED := $(shell grep -l 'mark\.shared' tests/integration/test_*.py | LC_ALL=C sort)
WIRED := $(filter-out $(SHARED),$(wildcard tests/integration/test_*.py))
QUIET := tests/capture tests/cli tests/config tests/storage tests/tui
PARTS := native config capture storage tui cli
MESON := $(BIN)/meson
# Meson and ninja come from the lock, not from the machine.
export PATH := $(abspath $(BIN)):$(PATH)
export NINJA := $(abspath $(BIN))/ninja

# A list of the sources in a file that changes only when the list does, so that a deleted file rebuilds too.
SOURCES := $(shell find $(PARTS) -type f -not -path '*/__pycache__/*' -not -name '*.pyc' -not -name '*.swp' 2>/dev/null | LC_ALL=C sort)
C_FILES := $(shell find native tests -name '*.[ch]' -type f | LC_ALL=C sort)
WHEEL_INPUT := $(SOURCES) pyproject.toml meson.build meson.options scripts/excluded.py build/sources.txt README.md

.PHONY: help setup develop demo bench bench-archive bench-feeds test test-native test-sanitized test-asan test-tsan test-python test-python-quiet test-python-shared test-python-wired test-slow check check-format check-lint check-types \
	check-imports check-warnings model format wheel dist lock clean FORCE

help:
	@echo 'demo        the main job, end to end, with its verdict (options in DEMO="--seconds 10")'
	@echo 'bench       how fast it is here, and docs/performance.md (with options in BENCH="--quick", build/performance.md)'
	@echo 'bench-archive  how fast an archive answers, beside tcpdump and tshark (PACKETS=10000000)'
	@echo 'bench-feeds    what decoding feed headers and following their sequences costs a packet'
	@echo 'test        C tests, plain and under sanitizers, and Python tests (options in PYTEST="-k ring")'
	@echo 'test-slow   the long Python tests, and every damage to every capture file'
	@echo 'check       formatting, lint, types, import contracts, C warnings, the model of the ring'
	@echo 'develop     $(VENV) with nanotape in it          wheel   dist/nanotape-*.whl, contract-tested'
	@echo 'dist        dist/: a wheel with libbpf and libxdp inside, its wheelhouse, and a .deb'
	@echo 'format      rewrites C and Python files           lock    resolves the Python dependencies anew'
	@echo 'clean       removes build/, dist/ and caches, not $(VENV)'

setup:
	@scripts/packages.sh
	@scripts/environment.sh $(VENV) requirements-dev.lock

build/sources.txt: FORCE
	@mkdir -p build
	@printf '%s\n' $(SOURCES) | cmp -s - $@ || printf '%s\n' $(SOURCES) >$@

# The order-only set-up runs first and always; the rest only when a source is newer.
build/installed: $(WHEEL_INPUT) | setup
	@rm -rf build/dist && mkdir -p build/dist
	@echo 'build: nanotape, and into $(VENV)' >&2
	@$(BIN)/pip wheel --disable-pip-version-check --no-deps --no-build-isolation --no-index \
		-Cbuild-dir=build/wheel -Ccompile-args=-j$(JOBS) -w build/dist . >build/wheel.log 2>&1 || { cat build/wheel.log >&2; exit 1; }
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-index --force-reinstall build/dist/nanotape-*.whl
	@touch $@

develop: build/installed
	@[[ -x $(BIN)/nanotape ]] || { rm -f build/installed; $(MAKE) --no-print-directory build/installed; }

demo: develop
	@$(BIN)/nanotape demo $(DEMO)

# Raw figures stay in build/bench.json, from which the page can be made again.
bench: develop
	@$(BIN)/nanotape bench $(BENCH) --json --page $(PAGE) >build/bench.json
	@$(BIN)/nanotape bench --from build/bench.json

# Ten million packets; some 12 GB of disk and a quarter of an hour.
bench-archive: develop
	@$(BIN)/python tests/bench/archive_bench.py build/archive-bench $(PACKETS)

bench-feeds: develop
	@$(BIN)/python tests/bench/feed_bench.py

# What makes no traffic runs beside the sanitizers. The rest, tests with wires of their own and those that use loopback, huge
# pages and ports, of which a machine has one, could run side by side (make -j2 test-python-wired test-python-shared), which
# two cores bear, but not always in time.
test: test-native
	@$(MAKE) --no-print-directory develop
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-sanitized test-python-quiet
	@$(MAKE) --no-print-directory test-python-wired
	@$(MAKE) --no-print-directory test-python-shared

# $(1) name of the build, $(2) meson options, $(3) how the tests are run
define native-tests
	@[[ -f build/$(1)/build.ninja ]] && mode=--reconfigure || mode=; \
		$(MESON) setup $$mode -Dtests=auto $(2) build/$(1) . >build/$(1).log 2>&1 || { cat build/$(1).log >&2; exit 1; }
	@$(MESON) compile -C build/$(1) -j $(JOBS) >build/$(1).log 2>&1 || { cat build/$(1).log >&2; exit 1; }
	$(3)
endef

test-native: setup build/sources.txt
	$(call native-tests,plain,,@$(MESON) test -C build/plain --no-rebuild --print-errorlogs)

# One after the other, whatever runs beside them: both use the loopback.
test-sanitized:
	@$(MAKE) --no-print-directory test-asan
	@$(MAKE) --no-print-directory test-tsan

test-asan: setup build/sources.txt
	$(call native-tests,asan,-Db_sanitize=address$(comma)undefined,@ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 $(MESON) test -C build/asan --no-rebuild --print-errorlogs --timeout-multiplier 4)

# The ring is left to its model: GCC's TSan does not follow stand-alone fences. Without setarch it cannot map its shadow on new kernels.
test-tsan: setup build/sources.txt
	$(call native-tests,tsan,-Db_sanitize=thread,@TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
		$(MESON) test -C build/tsan --no-rebuild --print-errorlogs --timeout-multiplier 4 --no-suite ring --wrap "setarch -R")

# $(1) folders; options in PYTEST may leave none of a folder's tests, which pytest calls status 5
define python-tests
	@$(BIN)/pytest $(1) $(PYTEST) || { status=$$?; [[ -n '$(PYTEST)' && $$status == 5 ]]; }
endef

# Without traffic that others could disturb, and without huge pages, which the C tests count.
test-python-quiet:
	$(call python-tests,$(QUIET))

test-python-wired:
	$(call python-tests,$(WIRED))

test-python-shared:
	$(call python-tests,$(SHARED) tests/contract)

test-python: develop
	@$(BIN)/pytest $(PYTEST)

test-slow: develop setup build/sources.txt
	@$(BIN)/pytest -m slow $(PYTEST)
	$(call native-tests,asan,-Db_sanitize=address$(comma)undefined,@NANOTAPE_FLIPS=200 \
		$(MESON) test -C build/asan --no-rebuild --print-errorlogs --timeout-multiplier 40 test_pcap_damage)

check: check-format check-lint check-types check-imports check-warnings model

check-format: setup
	@if command -v clang-format >/dev/null; then clang-format --dry-run --Werror $(C_FILES); \
		else echo 'check: no clang-format here: C formatting is not checked' >&2; fi
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet .; exit 1; }

check-lint: setup
	@$(BIN)/ruff check --quiet .

# Type checkers and import-linter cannot follow meson's mapping of folders: these links spell it out.
build/typing: FORCE
	@mkdir -p build/typing/nanotape && cd build/typing/nanotape && for part in $(PARTS); do ln -sfn ../../../$$part $$part; done

check-types: setup build/typing
	@$(BIN)/mypy build/typing/nanotape

check-imports: setup build/typing
	@PYTHONPATH=build/typing $(BIN)/lint-imports --no-cache

check-warnings: setup build/sources.txt
	$(call native-tests,plain,,)

model: setup
	@if [[ ! -e native/ring/model/check.py ]]; then exit 0; \
		elif command -v spin >/dev/null; then $(BIN)/python native/ring/model/check.py; \
		else echo 'check: no spin here: the model of the ring is not checked' >&2; fi

format: setup
	@clang-format -i $(C_FILES)
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format --quiet .

wheel: develop
	@mkdir -p dist && rm -f dist/nanotape-*.whl && cp build/dist/nanotape-*.whl dist/
	@NANOTAPE_WHEEL="$$(ls dist/nanotape-*.whl)" $(BIN)/pytest -q -m '' tests/contract $(PYTEST)
	@ls dist/nanotape-*.whl

# What a host without compiler and internet installs.
dist: setup build/sources.txt
	@scripts/dist.sh $(VENV) $(JOBS)

PIP_COMPILE = CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --annotation-style line
lock: setup
	@$(PIP_COMPILE) --extra dev -o requirements-dev.lock pyproject.toml
	@$(PIP_COMPILE) -c requirements-dev.lock -o requirements.lock pyproject.toml

clean:
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find $(PARTS) tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

FORCE:
comma := ,
