# Two commands: `make demo` (set-up and the whole chain, offline) and `make test`. `make` lists the rest.
CORES ?= 2
CONFIG ?=
export PYTHON PIP_OPTIONS TORCH
# Snakemake and pip need one; a user of a container may have none.
export HOME ?= $(CURDIR)/.venv
DEVICE ?= auto
READY := .venv/.ready
PY := .venv/bin/python -m
PROTOCOLS := workflow/protocols
NOW := $(shell date +%s)

# Snakemake itself answers a file that is not there with a traceback, before it has read a line of the Snakefile.
CHECKED = $(if $(CONFIG),@$(PY) selfdistill check config.yaml $(1) $(CONFIG))

.DEFAULT_GOAL := help
.PHONY: help demo quick overnight replicate published findings test test-workflow test-faults test-slurm bench docs declare site doctor status lint format clean

help: ## list these commands
	@echo "make demo                   set up, run the whole chain on handwritten digits (no download, about a minute)"
	@echo "make test                   set up, run the unit tests (about 3 minutes)"
	@echo "make test-workflow          the real workflow, its page in Chromium and its LaTeX (about 8 minutes)"
	@echo "make quick [CONFIG=my.yaml] the reduced protocol on CIFAR-10 (15 minutes on two processors, 3 times that without bf16)"
	@echo "make overnight [CONFIG=...] five methods, four seeds, 60 epochs of the same images (5 to 14 hours on two processors)"
	@echo "make replicate [CONFIG=...] the paper's protocol (hours on a GPU, days on a CPU; says first what it costs)"
	@echo "make published              Table I and curves of the author's own logs (seconds)"
	@echo "make findings               the committed runs of every protocol in one table (seconds)"
	@echo "make test-faults            kills, full disks, damage and hostile input (about 10 minutes; strace for some of it)"
	@echo "make test-slurm             the workflow on a Slurm that the tests start here (about 4 minutes; slurm-wlm, munge, root)"
	@echo "make bench [DEVICE=cuda]     our loop beside others, on this machine (under 10 minutes on a CPU)"
	@echo "make docs                   the pages of docs/ that are made from its YAML files"
	@echo "make declare WORDS='...'    declare the rules of the claims as they are now (docs/statistics.md)"
	@echo "make site                   the documentation as web pages in site/ (installs mkdocs-material)"
	@echo "make doctor [CONFIG=...]    what this machine has and each protocol would take on it (half a minute); CONFIG: that alone"
	@echo "make status [CONFIG=...]    the state of each run (of the paper's protocol, with CONFIG over it); WATCH=1 follows them"
	@echo "make lint                   formatting and static checks; make format repairs what can be repaired"
	@echo "make clean RUN=quick/kd-seed0         remove a run's results and saved state, STATE=1: the state alone (asks first; YES=1: does not)"
	@echo "Settings: CORES=2, and for the set-up (about 6 GB on Linux): TORCH=cpu (1.5 GB, no CUDA), PYTHON=python3.12,"
	@echo "          PIP_OPTIONS='--extra-index-url ...' (another build of torch)"

$(READY): constraints.txt pyproject.toml
	@sh scripts/set_up.sh

demo: $(READY)
	$(call CHECKED,$(PROTOCOLS)/demo.yaml)
	$(PY) snakemake --cores $(CORES) --configfile $(PROTOCOLS)/demo.yaml $(CONFIG)
	@$(PY) selfdistill show --report report/demo --started $(NOW)

quick: $(READY)
	$(call CHECKED,$(PROTOCOLS)/quick.yaml)
	$(PY) snakemake --cores $(CORES) --configfile $(PROTOCOLS)/quick.yaml $(CONFIG)
	@$(PY) selfdistill show --report report/quick --started $(NOW)

overnight: $(READY)
	$(call CHECKED,$(PROTOCOLS)/overnight.yaml)
	$(PY) snakemake --cores $(CORES) --configfile $(PROTOCOLS)/overnight.yaml $(CONFIG)
	@$(PY) selfdistill show --report report/overnight --started $(NOW)

replicate: $(READY)
	$(call CHECKED)
	@$(PY) selfdistill doctor config.yaml $(CONFIG)
	$(PY) snakemake --cores 1 $(if $(CONFIG),--configfile $(CONFIG))
	@$(PY) selfdistill show --report report/paper --started $(NOW)

published: $(READY)
	$(PY) snakemake --cores 1 published
	@$(PY) selfdistill show --report report/published --started $(NOW)

findings: $(READY)
	$(PY) snakemake --cores 1 findings
	@cat report/findings.md

test: $(READY)
	@echo "the unit tests: about 3 minutes on two idle processors"
	$(PY) pytest

test-workflow: $(READY)
	$(PY) pytest -m 'slow and not faults'

# In memory where that is possible: thousands of trials wait for fsync, which a disk takes its time for.
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
	@test -n "$(WORDS)" || { echo "error: WORDS: expected why the rules change, such as 'before any full-scale run'" >&2; exit 1; }
	$(PY) scripts.declare_claims "$$(date +%F)" "$(WORDS)"

site: $(READY)
	$(PY) pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt -e '.[site]'
	$(PY) mkdocs build --strict
	@echo "to open: site/index.html"

doctor: $(READY)
	@$(PY) selfdistill doctor $(if $(CONFIG),config.yaml $(CONFIG))

# It ends with 1 while anything is left to train, which is no error of make's.
status: $(READY)
	@$(PY) selfdistill status config.yaml $(CONFIG) $(if $(WATCH),--watch) || test $$? -eq 1

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
