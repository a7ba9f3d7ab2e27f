#!/bin/sh
# Runs what needs an NVIDIA GPU: the conformance kit, the tests and the benchmark of the backend cuquantum.
#
# It makes an environment of its own in a temporary folder and installs this workspace's packages there with pip, with
# the extra cu13 of backend-cuquantum (about a gigabyte). It needs Python 3.11 or later (PYTHON says which), an NVIDIA
# driver for CUDA 13, and nothing else. Arguments go to pytest. What it found is in gpu-report.txt, where it was started.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
report=$PWD/gpu-report.txt
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM

command -v nvidia-smi >/dev/null || { echo "there is no nvidia-smi: this needs an NVIDIA GPU and its driver" >&2; exit 3; }
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "$python is no Python of version 3.11 or later: PYTHON=... names another" >&2; exit 3; }
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | tee "$report"

"$python" -m venv "$folder/venv"
python=$folder/venv/bin/python
"$python" -m pip install --quiet --disable-pip-version-check \
    "$root/kernel" "$root/plugin-sdk[tools]" "$root/plugins-core/trajectories" \
    "$root/plugins-core/execution" "$root/plugins-core/backend-qsim" "$root/plugins-core/backend-pennylane" \
    "$root/plugins-core/backend-cuquantum[cu13]" pytest-timeout
"$python" -m pip list 2>/dev/null | grep -iE "cuquantum|custatevec|cutensornet|cublas|cusolver|cupy" | tee -a "$report"

export PROXIMA_HOME="$folder/home"
"$folder/venv/bin/proxima" backends | tee -a "$report"
status=0
"$python" -m pytest -q -c "$root/pyproject.toml" --rootdir "$root" -p no:cacheprovider \
    "$root/plugins-core/backend-cuquantum/tests" "$@" >>"$report" 2>&1 || status=$?
"$python" -m pytest -q -s -c "$root/pyproject.toml" --rootdir "$root" -p no:cacheprovider --timeout=0 \
    -o python_files='bench_*.py' "$root/tests/benchmarks/bench_cuquantum.py" >>"$report" 2>&1 || status=$?
tail -n 40 "$report"
exit "$status"
