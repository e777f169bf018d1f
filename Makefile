# A menu and no more: every entry sets up what it needs (tools/setup.py) and runs one program.
SETUP = @python3 tools/setup.py
PY = .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help build demo test quick asan tsan fuzz fuzz-nightly mutate arm bench bench-operators bench-functions bench-batches bench-tiers bench-exactness fmt tidy cover docs wheel

help:         ## this list
	@sed -n 's/^\([a-z-]*\): *## /  make \1 - /p' Makefile

build:        ## set up and compile; then .venv/bin/python imports sabot
	$(SETUP) build

demo:         ## a real job on real data: flights out of New York in 2013
	$(SETUP) demo
	@$(PY) examples/demo.py

test:         ## everything that must pass: tests, sanitizers, linters, on every Python found
	$(SETUP) test
	@$(PY) tools/run_tests.py

quick:        ## the tests of one build and one Python: what to run while working
	$(SETUP) quick
	@$(PY) tools/run_tests.py --quick

asan:         ## C tests under the address and undefined-behaviour sanitizers, with failing allocations
	$(SETUP) asan
	@$(PY) tools/run_tests.py --only asan

tsan:         ## C tests of threads under the thread sanitizer
	$(SETUP) tsan
	@$(PY) tools/run_tests.py --only tsan

arm:          ## AArch64 under emulation (qemu-user): C tests, generated code, the fuzzer; some minutes
	$(SETUP) arm
	@$(PY) tools/run_tests.py --only "arm,arm fuzz"

fuzz:         ## compiled against CPython on generated functions, for a few minutes
	$(SETUP) fuzz
	@$(PY) -m fuzz.differential --jobs "$$(nproc)"
	@$(PY) -m fuzz.batches

fuzz-nightly: ## a million cases, new ones every day; what it finds is kept in fuzz/corpus
	$(SETUP) fuzz
	@$(PY) -m fuzz.differential --functions 40000 --seed "$$(date +%F)" --jobs "$$(nproc)" --keep fuzz/corpus
	@$(PY) -m fuzz.batches --functions 5000 --seed "$$(date +%F)"
	@SABOT_HYPOTHESIS=default PYTHONPATH=build/lib $(PY) -m pytest -q -m hypothesis tests

mutate:       ## one seeded error after another: the fuzzer must find each
	$(SETUP) fuzz
	@$(PY) -m fuzz.mutate

bench:        ## benchmarks beside their peers; answers are checked first
	$(SETUP) bench
	@PYTHONPATH=build-release/lib $(PY) bench/spine.py

bench-operators: ## the same for operators: throughput, what a batch costs, filter by mask, memory
	$(SETUP) bench
	@PYTHONPATH=build-release/lib $(PY) bench/operators.py

bench-functions: ## functions beside CPython, C, Numba, Polars, DuckDB, Daft, pandas
	$(SETUP) bench
	@PYTHONPATH=build-release/lib $(PY) bench/functions.py

bench-exactness: ## answers that are not CPython's, of Sabot, Numba and Tuplex, by kind
	$(SETUP) bench-exactness
	@PYTHONPATH=build-release/lib $(PY) bench/exactness.py

bench-batches: ## functions of batches beside CPython, NumPy, Numba, C
	$(SETUP) bench
	@PYTHONPATH=build-release/lib $(PY) bench/batches.py

bench-tiers:  ## what the default costs beside compile="off", from first look to result; 8 minutes
	$(SETUP) bench
	@PYTHONPATH=build-release/lib $(PY) bench/tiers.py

fmt:          ## format C and Python
	$(SETUP) fmt
	@$(PY) tools/fmt.py

tidy:         ## house rules, formatter, linters
	$(SETUP) tidy
	@$(PY) tools/run_tests.py --only style

cover:        ## what the tests run: branches of C, lines of Python; too few is a failure
	$(SETUP) cover
	@$(PY) tools/cover.py

docs:         ## the manual as HTML, in build/docs
	$(SETUP) docs
	@$(PY) tools/docs.py

wheel:        ## a wheel in dist/, checked
	$(SETUP) wheel
	@$(PY) tools/wheel.py
