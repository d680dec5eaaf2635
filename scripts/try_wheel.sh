#!/usr/bin/env bash
# Makes the source distribution, the wheel from it, and tries the wheel where there is nothing else: for each Python named, in an
# environment and a folder made for it and removed afterwards. Says how much it installs; shows what went wrong, and stops there.
#
#     scripts/try_wheel.sh [PYTHON]...      python3 if none is named; hatchling has to be installed beside the first python on PATH
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
log=$work/log
trap 'code=$?; [ "$code" = 0 ] || tail -n 40 "$log" >&2; rm -rf "$work"' EXIT
unset PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=$project/constraints.txt

builder=$(command -v python)
{
  (cd "$project" && "$builder" -m hatchling build -t sdist -d "$work/dist")
  PIP_CONSTRAINT= "$builder" -m pip wheel --no-deps --no-cache-dir --no-build-isolation --wheel-dir "$work/dist" "$work"/dist/seqcli-*.tar.gz
} > "$log" 2>&1
wheel=$(echo "$work"/dist/seqcli-*.whl)

# packages and megabytes
installed() {
  echo "$(find "$site" -maxdepth 1 -name '*.dist-info' | wc -l) $(du -sm "$site" | cut -f 1)"
}

try_with() {
  home=$work/home
  "$1" -m venv "$home/env"
  bin=$home/env/bin
  site=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  export SEQCLI_CACHE=$home/cache
  mkdir "$home/empty"
  cd "$home/empty"

  "$bin/pip" install torch
  read -r torch_packages torch_megabytes < <(installed)
  "$bin/pip" install "$wheel"
  read -r packages megabytes < <(installed)
  "$bin/pip" check

  test -f "$site/seqcli/py.typed"
  test -f "$site"/seqcli-*.dist-info/licenses/LICENSE
  "$bin/python" - << 'END'
import importlib, pkgutil, seqcli
from seqcli.extras import EXTRAS
optional = {module for packages in EXTRAS.values() for module in packages}
seen = 0
for module in pkgutil.walk_packages(seqcli.__path__, "seqcli."):
    if module.name == "seqcli.__main__":
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] not in optional:
            raise
    seen += 1
assert seen > 200, seen
END
  "$bin/seqcli" --version
  "$bin/seqcli" recipe ls | grep multi30k/transformer
  "$bin/seqcli" lesson
  "$bin/seqcli" train reverse training.steps=20 run=r
  "$bin/seqcli" eval r
  echo 'a b c' | "$bin/seqcli" translate r > line
  test "$(wc -l < line)" = 1

  picture=(visualize attention r --text 'a b c' -o m.png)
  code=0
  "$bin/seqcli" "${picture[@]}" 2> refusal || code=$?
  cat refusal
  test "$code" = 2
  test "$(cat refusal)" = "visualize attention needs matplotlib, which is not installed; pip install 'seqcli[plots]'"
  "$bin/pip" install "$wheel[plots]"
  read -r plots_packages plots_megabytes < <(installed)
  "$bin/seqcli" "${picture[@]}"
  test -s m.png

  cd "$project"
  rm -rf "$home"
}

for python in "${@:-python3}"; do
  python=$(command -v "$python")
  version=$("$python" -c 'import platform; print(platform.python_version())')
  echo "$version: trying" >&2
  try_with "$python" > "$log" 2>&1
  echo "$version: works; beside torch $((packages - torch_packages)) packages, $((megabytes - torch_megabytes)) MB;" \
    "plots: $((plots_packages - packages)) more, $((plots_megabytes - megabytes)) MB"
done
