#!/usr/bin/env bash
# Train a block of runs within a time limit, on a machine that has torch but no Snakemake:
#   scripts/gpu_block.sh A --minutes 9               train what is left of block A; ends with 75 if something is left
#                                                  (also at Ctrl-C or SIGTERM: the run saves, the next call goes on)
#   scripts/gpu_block.sh pack --output OUT           results into parts of at most 15 MB (--logs: without weights)
#   scripts/gpu_block.sh unpack --input OUT          parts into results/
# Further words: scripts/gpu_block.sh --help
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" -m scripts.gpu_block "$@"
