#!/bin/sh
# Run the workflow for some minutes on a machine with a GPU and torch but no network, and pack the results.
#   sh scripts/gpu.sh FOLDER MINUTES [options and targets of Snakemake]
# FOLDER has the copied files: *.whl, the archive in pieces (NAME.part-aa, ...), results.tar.* of the previous time.
# Environment: PYTHON, RUNS (in parallel on the GPU: 1), OUT (folder for the packed files), PIECE (MiB each), BENCH_MINUTES.
set -eu
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
carried=$(cd "$1" && pwd) minutes=$2
shift 2
cd "$(dirname "$0")/.."
python=${PYTHON:-python3} out=${OUT:-packed}
export PYTHONPATH="$PWD/src:$PWD/.carried" CUDA_VISIBLE_DEVICES="${CUDA_VISIBLE_DEVICES:-0}"

there() { [ -e "$1" ]; }

if there "$carried"/*.whl; then
  "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile --upgrade \
    --target .carried "$carried"/*.whl
fi
mkdir -p results/data/archives "$out"
for first in "$carried"/*.part-aa; do
  there "$first" || continue
  name=$(basename "$first" .part-aa)
  cat "$carried/$name".part-* >results/data/archives/joined
  sum=$(sha256sum <results/data/archives/joined | cut -c1-64)
  grep -qs -e "$sum" -- config.yaml workflow/protocols/*.yaml "$@" || {  # configuration files among the options are searched too
    echo "error: $carried/$name.part-*: SHA-256 differs (expected one of data.archives, got $sum); copy all pieces" >&2
    exit 65
  }
  # The workflow looks here before it downloads.
  mv results/data/archives/joined "results/data/archives/$(echo "$sum" | cut -c1-16)-$name"
done
if there "$carried"/results.tar.*; then
  cat "$carried"/results.tar.* | tar -xf - --keep-directory-symlink
fi

status=0
# INT, as from Ctrl-C: the trainings save their state, and the next start resumes from it.
timeout -s INT -k 120 "${minutes}m" "$python" -m snakemake --resources gpu="${RUNS:-1}" --cores "$(nproc)" "$@" ||
  status=$?

protocols=$(find -H results -mindepth 1 -maxdepth 1 -type d ! -name data ! -name '.*' -exec basename {} \;)
rm -f "$out"/*.tar.* results/older_states
find -H results -name 'ckpt-*' | sort -r | awk '{ d = $0; sub("/[^/]*$", "", d); if (seen[d]++) print }' >results/older_states
# shellcheck disable=SC2046 # several folders
tar -chzf "$out/evidence.tar.gz" --exclude='*.safetensors' --exclude=results/data results \
  $(for protocol in $protocols; do ! there "report/$protocol" || echo "report/$protocol"; done) || [ $? = 1 ] # a warning, such as a link to nothing
tar -chf - --exclude=results/data --exclude-from=results/older_states results | split -b "${PIECE:-60}m" - "$out/results.tar."
du -h "$out"/*

for protocol in $protocols; do
  ! there "report/$protocol/table1.md" || cat "report/$protocol/table1.md"
  for log in "results/$protocol"/logs/*-seed[0-9]*.txt; do
    echo "$(basename "$log" .txt): $(grep -s '^epoch ' "$log" | tail -n 1)"
  done
done
[ $status = 0 ] || [ $status = 124 ] || exit $status
"$python" -m benchmarks.bench --minutes "${BENCH_MINUTES:-1}" --workers "$(($(nproc) / 2))" --name gpu
[ $status = 0 ] || echo "time is up; to resume, copy $out/results.tar.* to the folder of the next start"
exit $status
