PYTHON ?= python3
BENCH_PYTHON ?= .bench/bin/python
DOCS_PYTHON ?= .docs/bin/python

.DEFAULT_GOAL := help

.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(MAKEFILE_LIST))

help:    ## this list
	@sed -n 's/^\([a-z-]*\):.*## */\1 /p' $(MAKEFILE_LIST) | awk '{ name = $$1; $$1 = ""; printf "  make %-14s%s\n", name, $$0 }'

# what pyproject.toml asks for; a new environment has no NumPy, and that of Python 3.11 an older setuptools
BUILD_NEEDS = 'setuptools>=77' 'numpy>=2.0'
HAS_THEM = -c 'import numpy, setuptools; assert int(setuptools.__version__.split(".")[0]) >= 77'

build:   ## build the extension inside backprop/
	@$(PYTHON) $(HAS_THEM) 2>/dev/null || $(PYTHON) -m pip install --quiet $(BUILD_NEEDS)
	$(PYTHON) setup.py build_ext --inplace

test: build  ## build, then run the tests
	$(PYTHON) -m pytest

test-browser: build  ## the page in Chromium, alone and in JupyterLab; pip install -e '.[browser,site]'
	$(PYTHON) -m pytest tests/play/test_browser.py tests/play/test_controls.py tests/site/test_site.py

test-neon:  ## the tests on NEON, under qemu; Debian's gcc-aarch64-linux-gnu and qemu-user
	.ci/neon

durability: build  ## 600 damaged files, 25 kills while saving, 25 kills of a rank
	BACKPROP_DAMAGED_FILES=600 BACKPROP_KILLS=25 $(PYTHON) -m pytest tests/files/test_durability.py tests/fit/test_mpi_faults.py

sanitize: ## the core and the suite under AddressSanitizer and UndefinedBehaviorSanitizer; CC=clang-19 for that one
	.ci/sanitize $(CC)

tsan-python: ## the suite's tests of threads under ThreadSanitizer, with GCC
	.ci/tsan-python

tsan:    ## the core with teams of threads under ThreadSanitizer; CC=clang-19 for that one
	CHECKS=thread .ci/core-checks $(CC) 5000

valgrind: ## the core, then the tests of the engine, under valgrind
	.ci/valgrind

fuzz:    ## each fuzzer for FUZZ_SECONDS, an hour, one after the other; needs clang-19 and atheris
	.ci/fuzz

fuzz-stateful: ## orders of calls on networks, files and threads; 10000 of 50 calls, about an hour
	BACKPROP_EXAMPLES=10000 BACKPROP_STEPS=50 $(PYTHON) -m pytest -q tests/fuzz/test_stateful.py

coverage: ## lines and branches of csrc/ and backprop/ that the tests run; needs gcovr and coverage
	.ci/coverage

mutants: ## a mistake at a time in a copy of the C sources: each must fail a test; about 40 minutes
	$(PYTHON) tests/long/mutants.py

bits: build  ## a hash of what every way of training computes; BITS=FILE compares with an earlier one's
	@PYTHONPATH=. $(PYTHON) tests/long/bits.py $(if $(BITS),--compare $(BITS))

soak: build  ## networks made, trained, saved, loaded and dropped, 10 000 of them and for 10 minutes
	PYTHONPATH=. $(PYTHON) tests/long/soak.py --cycles 10000 --minutes 10

interrupts: build  ## Ctrl-C at 200 random moments, each heeded within 100 ms
	PYTHONPATH=. $(PYTHON) tests/long/interrupts.py --count 200 --most 0.1

lint:    ## ruff, and no warning from any compiler at hand
	ruff check .
	.ci/strict

distributions:  ## sdist and wheel: what they hold, and whether they install and train
	.ci/distributions

pythons: ## the suite on every Python at hand, with the oldest and the newest NumPy
	.ci/pythons

format:  ## clang-format on C, ruff on Python
	clang-format -i $$(find csrc -name '*.[ch]' -o -name '*.inc')
	ruff check --fix .

types:   ## mypy --strict and pyright
	mypy
	MYPYPATH=. mypy --strict examples/typed_tour.py
	pyright examples/typed_tour.py

floors:  ## docs/images/floors.svg, the picture of docs/architecture.md, drawn from the imports
	$(PYTHON) tests/floors.py >docs/images/floors.svg

docs: $(DOCS_PYTHON)  ## the pages as HTML, build/docs/index.html; a warning is an error
	$(DOCS_PYTHON) setup.py --quiet build_ext --inplace
	PYTHONPATH=. $(DOCS_PYTHON) -m sphinx -E -W --keep-going -n -q docs build/docs

# DOCS_PYTHON=... for an environment that is there already
.docs/bin/python: pyproject.toml
	$(PYTHON) -m venv .docs
	.docs/bin/pip install --quiet $(BUILD_NEEDS) -e '.[docs]'
	touch $@

site: build  ## the lesson without installing anything, build/site; needs clang-19, lld-19, wasi-libc and pip install -e '.[site]'; REPOSITORY=owner/name for links to Colab and Binder
	PYTHONPATH=.$${PYTHONPATH:+:$$PYTHONPATH} $(PYTHON) site/build.py build/site

bench: $(BENCH_PYTHON)  ## compare with other libraries; writes benchmarks/RESULTS.md
	$(BENCH_PYTHON) setup.py --quiet build_ext --inplace
	$(BENCH_PYTHON) benchmarks/bench.py

bench-whole-batch: $(BENCH_PYTHON)  ## L-BFGS and Levenberg-Marquardt beside SciPy, scikit-learn, PyTorch, torchimize, optimistix, pyrenn
	$(BENCH_PYTHON) setup.py --quiet build_ext --inplace
	$(BENCH_PYTHON) benchmarks/whole_batch.py

bench-search: $(BENCH_PYTHON)  ## PopulationSearchCV beside GridSearchCV, 60 settings and 5 folds of the digits
	$(BENCH_PYTHON) setup.py --quiet build_ext --inplace
	$(BENCH_PYTHON) benchmarks/search.py

bench-kernels: $(BENCH_PYTHON) build/bench_kernels.so  ## single kernels against numpy.matmul
	$(BENCH_PYTHON) benchmarks/kernels.py build/bench_kernels.so

bench-bounds:  ## what the processor and its caches allow; x86-64 with AVX2 or AVX-512
	mkdir -p build
	$(CC) -O3 -std=gnu11 -march=native -o build/bounds benchmarks/bounds.c
	build/bounds

# BENCH_PYTHON=... for an environment that is there already
.bench/bin/python: benchmarks/requirements.txt
	$(PYTHON) -m venv .bench
	.bench/bin/pip install --quiet -r benchmarks/requirements.txt
	touch $@

build/bench_kernels.so: benchmarks/kernels.c $(shell find csrc/core csrc/kernels -type f)
	mkdir -p build
	$(CC) -O3 -std=c11 -ffp-contract=off -fPIC -shared -fvisibility=hidden -Icsrc -o $@ \
	    $< $(shell find csrc -name memory.c) $(shell .ci/sources kernels) -lm

clean:   ## remove what a build leaves behind
	rm -rf build dist .bench .docs docs/tutorial *.egg-info backprop/*.so
