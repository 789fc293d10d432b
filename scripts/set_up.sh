#!/bin/sh
# Create the environment in .venv, with the versions of constraints.txt. `make` calls this; without make: sh scripts/set_up.sh
# Environment: PYTHON (the interpreter), TORCH=cpu (torch without CUDA), PIP_OPTIONS (more options for pip).
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "error: $1" >&2
  exit 1
}

case "$(uname -s)" in
MINGW* | MSYS* | CYGWIN*) fail "Windows: expected Linux or macOS; use WSL (wsl --install) and clone the project inside it" ;;
esac

suits() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

python=${PYTHON:-}
if [ -n "$python" ]; then
  suits "$python" ||
    fail "PYTHON=$python: expected Python 3.11 to 3.13, got $("$python" --version 2>/dev/null || echo no Python); set another one: PYTHON=python3.12"
else
  for candidate in python3 python3.13 python3.12 python3.11 python; do
    if suits "$candidate"; then
      python=$candidate
      break
    fi
  done
  [ -n "$python" ] ||
    fail "PYTHON: expected Python 3.11 to 3.13 in PATH, got $(python3 --version 2>/dev/null || echo no Python); install one and set PYTHON=/path/to/python3.12"
fi
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
  fail "PYTHON=$python: has no venv module; on Debian and Ubuntu: apt install python3-venv"

size="1.5 GB"
options=${PIP_OPTIONS:-}
case "${TORCH:-}" in
cpu) options="--extra-index-url https://download.pytorch.org/whl/cpu $options" ;;
"") [ "$(uname -s)" = Darwin ] || size="6 GB with torch's CUDA libraries, 1.5 GB with TORCH=cpu" ;;
*) fail "TORCH=$TORCH: expected cpu or nothing; select other builds with PIP_OPTIONS='--extra-index-url ...'" ;;
esac
echo "setting up .venv with $python (only once; needs about $size)"

[ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null || "$python" -m venv --clear .venv
# shellcheck disable=SC2086 # several options in one variable
.venv/bin/python -m pip install --quiet --disable-pip-version-check $options -c constraints.txt -e '.[dev]' ||
  fail ".venv: pip could not install the packages (see above); check the network and run the same command again"
touch .venv/.ready
