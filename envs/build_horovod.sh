#!/usr/bin/env bash
# Build Horovod for the TensorFlow of the given Python, or take the wheel built before; install it.
# Usage: envs/build_horovod.sh .venv/bin/python. Needs g++ and cmake; 5 minutes of a CPU.
# HOROVOD_GPU_OPERATIONS=NCCL in the environment builds for GPUs. BUILD_JOBS sets the jobs (the cores).
set -euo pipefail
python=$(realpath --no-symlinks "$1")
cd "$(dirname "$0")"
for tool in g++ cmake patch; do
    command -v "$tool" >/dev/null || { echo "Horovod's build needs $tool: install it." >&2; exit 1; }
done

made_of=$(cat horovod.txt horovod.patch; uname -m; echo "${HOROVOD_GPU_OPERATIONS:-}"
    "$python" -c 'import sys; from importlib.metadata import version
print(sys.version_info[:2], version("tensorflow"))')
key=$(sha256sum <<<"$made_of" | cut -c1-16)
wheels=${XDG_CACHE_HOME:-$HOME/.cache}/calcohort/horovod-$key

if ! compgen -G "$wheels/*.whl" >/dev/null; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    pip=("$python" -m pip --disable-pip-version-check --quiet)
    "${pip[@]}" download --no-deps --no-build-isolation --no-binary horovod --require-hashes \
        --dest "$work" -r horovod.txt
    "${pip[@]}" install --no-deps --target "$work/tools" "$work"/*.whl
    tar -xzf "$work"/horovod-*.tar.gz -C "$work"
    patch -d "$work"/horovod-*/ -p1 <horovod.patch
    export HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1
    export HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1 MAKEFLAGS=-j${BUILD_JOBS:-$(nproc)}
    export PYTHONPATH=$work/tools PATH="$(dirname "$python"):$PATH"
    "${pip[@]}" wheel --no-build-isolation --no-deps --wheel-dir "$work/built" "$work"/horovod-*/
    mkdir -p "$wheels"
    cp "$work"/built/*.whl "$wheels/.partial"
    mv "$wheels/.partial" "$wheels/$(basename "$work"/built/*.whl)"
fi
unset PYTHONPATH
"$python" -m pip --disable-pip-version-check --quiet install --no-deps --force-reinstall "$wheels"/*.whl
