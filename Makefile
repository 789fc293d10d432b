# `make` lists the commands; begin with `make demo`.
CORES ?= 2
CONFIG ?=
export PYTHON PIP_OPTIONS TORCH WORDS
# Snakemake and pip need a home folder; a user in a container may have none.
export HOME ?= $(CURDIR)/.venv
DEVICE ?= auto
READY := .venv/.ready
PY := .venv/bin/python -m
PROTOCOLS := workflow/protocols
NOW := $(shell date +%s)

# A missing configuration file would end Snakemake with a traceback before it reads the Snakefile.
CHECKED = $(if $(CONFIG),@$(PY) selfdistill check config.yaml $(1) $(CONFIG))

.DEFAULT_GOAL := help
.PHONY: help demo quick overnight replicate published findings test test-workflow test-faults test-slurm bench docs declare estimate status lint format clean

help: ## list these commands
	@echo "make demo                   set up, run the whole workflow on handwritten digits (about a minute, no data to download)"
	@echo "make test                   set up, run the unit tests (about 3 minutes on two CPU cores)"
	@echo "make test-workflow          test the whole workflow, the page in Chromium and the LaTeX (up to 9 minutes)"
	@echo "make quick [CONFIG=my.yaml] the reduced protocol on CIFAR-10 (15 minutes on two CPU cores, 45 without bf16)"
	@echo "make overnight [CONFIG=...] ten methods, 38 runs of 60 epochs on the same images (5 to 25 hours on two CPU cores)"
	@echo "make replicate [CONFIG=...] the paper's protocol (hours on a GPU, days on two CPU cores; prints an estimate first)"
	@echo "make published              Table I and curves from the author's own logs (seconds)"
	@echo "make findings               one table of the committed runs of every protocol (seconds)"
	@echo "make test-faults            test kills, full disks, damaged files and hostile input (4 to 8 minutes; some tests need strace)"
	@echo "make test-slurm             test the workflow on a local Slurm (3 to 5 minutes; needs slurm-wlm, munge and root)"
	@echo "make bench [DEVICE=cuda]    compare our training loop with others on this machine (under 10 minutes on a CPU)"
	@echo "make docs                   regenerate docs/paper-gaps.md from its YAML file"
	@echo "make declare WORDS='...'    declare the present rules of the claims (docs/statistics.md)"
	@echo "make estimate [CONFIG=...]  estimate the time of each protocol on this machine, or of CONFIG alone (half a minute)"
	@echo "make status [CONFIG=...]    the state of each run of the paper's protocol, or of CONFIG laid over it, and the time left"
	@echo "make lint                   check formatting and code; make format repairs what it can"
	@echo "make clean RUN=...          remove a run's results and saved state, as in RUN=quick/kd-seed0 (STATE=1: the state alone; YES=1: do not ask)"
	@echo "Settings: CORES=2; for the set-up (about 6 GB on Linux): TORCH=cpu (1.5 GB, no CUDA), PYTHON=python3.12,"
	@echo "          PIP_OPTIONS='--extra-index-url ...' (another build of torch)"

$(READY): constraints.txt pyproject.toml
	@sh scripts/set_up.sh

demo quick overnight: $(READY)
	$(call CHECKED,$(PROTOCOLS)/$@.yaml)
	$(PY) snakemake --cores $(CORES) --configfile $(PROTOCOLS)/$@.yaml $(CONFIG)
	@$(PY) selfdistill show config.yaml $(PROTOCOLS)/$@.yaml $(CONFIG) --started $(NOW)

replicate: $(READY)
	$(call CHECKED)
	@$(PY) selfdistill estimate config.yaml $(CONFIG)
	$(PY) snakemake --cores 1 $(if $(CONFIG),--configfile $(CONFIG))
	@$(PY) selfdistill show config.yaml $(CONFIG) --started $(NOW)

published: $(READY)
	$(PY) snakemake --cores 1 --configfile $(PROTOCOLS)/$@.yaml
	@$(PY) selfdistill show config.yaml $(PROTOCOLS)/$@.yaml --started $(NOW)

findings: $(READY)
	$(PY) snakemake --cores 1 findings
	@cat report/findings.md

test: $(READY)
	@echo "the unit tests: about 3 minutes on two idle CPU cores"
	$(PY) pytest

test-workflow: $(READY)
	$(PY) pytest -m 'slow and not faults'

# Use a folder in memory if possible: thousands of trials call fsync, which is slow on a disk.
test-faults: $(READY)
	PYTEST_DEBUG_TEMPROOT=`test -w /dev/shm && echo /dev/shm || echo /tmp` \
	  $(PY) pytest -m faults tests/faults

test-slurm: $(READY)
	$(PY) pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt -e '.[slurm]'
	$(PY) pytest -m slurm -n 0 tests/slurm

bench: $(READY)
	$(PY) pip install --quiet --disable-pip-version-check -c constraints.txt -r benchmarks/requirements.txt
	$(PY) benchmarks.bench --device $(DEVICE)

docs: $(READY)
	$(PY) scripts.docs

declare: $(READY)
	@test -n "$$WORDS" || { echo "error: WORDS: expected the reason for the change, such as 'before any full-scale run'" >&2; exit 1; }
	$(PY) scripts.declare_claims "$$(date -u +%FT%H:%MZ)" "$$WORDS"

estimate: $(READY)
	@$(PY) selfdistill estimate --cores $(CORES) $(if $(CONFIG),config.yaml $(CONFIG))

# `status` exits with 1 while runs are left to train; make should not call that an error.
status: $(READY)
	@$(PY) selfdistill status config.yaml $(CONFIG) || test $$? -eq 1

lint: $(READY)
	$(PY) ruff format --check .
	$(PY) ruff check .
	$(PY) snakefmt --check Snakefile workflow
	$(PY) scripts.lint_workflow

format: $(READY)
	$(PY) ruff format .
	$(PY) ruff check --fix .
	$(PY) snakefmt Snakefile workflow

clean: $(READY)
	@test -n "$(RUN)" || { echo "error: RUN: expected protocol/method-seed<n>, such as RUN=quick/kd-seed0" >&2; exit 1; }
	@$(PY) selfdistill clean --run "$(RUN)" $(if $(STATE),--state) $(if $(YES),--yes)
