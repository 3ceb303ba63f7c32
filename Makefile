PYTHON ?= python3
BENCH_PYTHON ?= .bench/bin/python
DOCS_PYTHON ?= .docs/bin/python

.DEFAULT_GOAL := help

.PHONY: help build test test-browser durability sanitize tsan valgrind fuzz coverage lint format types docs bench bench-kernels clean

help:    ## this list
	@sed -n 's/^\([a-z-]*\):.*## */\1 /p' $(MAKEFILE_LIST) | awk '{ name = $$1; $$1 = ""; printf "  make %-14s%s\n", name, $$0 }'

build:   ## build the extension inside backprop/
	$(PYTHON) setup.py build_ext --inplace

test: build  ## build, then run the tests
	$(PYTHON) -m pytest

test-browser: build  ## the page in Chromium, alone and in JupyterLab; pip install -e '.[browser]'
	$(PYTHON) -m pytest tests/test_browser.py

durability: build  ## 600 damaged files, 25 kills while saving, 25 kills of a rank
	BACKPROP_DAMAGED_FILES=600 BACKPROP_KILLS=25 $(PYTHON) -m pytest tests/test_durability.py tests/test_mpi_faults.py

sanitize: ## the core and the whole suite under AddressSanitizer and UndefinedBehaviorSanitizer, GCC and Clang
	.ci/sanitize

tsan:    ## the core with teams of threads under ThreadSanitizer; CC=clang for Clang
	CHECKS=thread KERNELS=all .ci/core-checks $(CC) 5000

valgrind: ## the core, then the tests of the engine, under valgrind
	.ci/valgrind

fuzz:    ## each fuzzer for FUZZ_SECONDS, an hour; needs Clang with libFuzzer, and atheris
	.ci/fuzz

coverage: ## lines and branches of csrc/ and backprop/ that the tests run; needs gcovr and coverage
	.ci/coverage

lint:    ## ruff, and no warning from any compiler at hand
	ruff check .
	.ci/strict

format:  ## clang-format on C, ruff on Python
	clang-format -i $$(find csrc -name '*.[ch]' -o -name '*.inc')
	ruff check --fix .

types:   ## mypy --strict
	mypy

docs: $(DOCS_PYTHON)  ## the pages as HTML, build/docs/index.html; a warning is an error
	$(DOCS_PYTHON) setup.py --quiet build_ext --inplace
	PYTHONPATH=. $(DOCS_PYTHON) -m sphinx -E -W --keep-going -n -q docs build/docs

# DOCS_PYTHON=... for an environment that is there already
.docs/bin/python: pyproject.toml
	$(PYTHON) -m venv .docs
	.docs/bin/pip install --quiet setuptools -e '.[docs]'
	touch $@

bench: $(BENCH_PYTHON)  ## compare with other libraries; writes benchmarks/RESULTS.md
	$(BENCH_PYTHON) setup.py --quiet build_ext --inplace
	$(BENCH_PYTHON) benchmarks/bench.py

bench-kernels: $(BENCH_PYTHON) build/bench_kernels.so  ## single kernels against numpy.matmul
	$(BENCH_PYTHON) benchmarks/kernels.py build/bench_kernels.so

# BENCH_PYTHON=... for an environment that is there already
.bench/bin/python: benchmarks/requirements.txt
	$(PYTHON) -m venv .bench
	.bench/bin/pip install --quiet -r benchmarks/requirements.txt
	touch $@

build/bench_kernels.so: benchmarks/kernels.c $(wildcard csrc/core/*.[ch] csrc/kernels/*)
	mkdir -p build
	$(CC) -O3 -std=c11 -ffp-contract=off -fPIC -shared -fvisibility=hidden -Icsrc -o $@ \
	    $< csrc/core/memory.c csrc/core/peak.c csrc/kernels/*.c -lm

clean:   ## remove what a build leaves behind
	rm -rf build dist .bench .docs docs/tutorial *.egg-info backprop/*.so
