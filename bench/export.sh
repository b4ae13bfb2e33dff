#!/bin/sh
# bench/export.sh [DIR]: exports imported models and asks PyTorch what it computes with them.
#
# For every model of MEGABYTE-pytorch under DIR (default: tests/data/import/megabyte-pytorch): octet import,
# octet export, then MEGABYTE-pytorch loads the export, every key, and its logits are compared with those in
# cases.safetensors. Needs build/octet, and a python3 (or $PYTHON) with torch and MEGABYTE_pytorch; says so and
# ends with 0 where they are missing.
here=$(cd "$(dirname "$0")" && pwd)
data=${1:-$here/../tests/data/import/megabyte-pytorch}
octet=$here/../build/octet
python=${PYTHON:-python3}
[ -x "$octet" ] || {
    echo "bench/export.sh: build/octet is missing: ninja -C build octet" >&2
    exit 1
}
if ! reason=$("$python" -c 'import torch, MEGABYTE_pytorch' 2>&1); then
    echo "skipped: $(printf '%s' "$reason" | tail -n 1)"
    exit 0
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 n=0
for case in "$data"/*/; do
    case=${case%/}
    [ -f "$case/model.safetensors" ] || continue
    n=$((n + 1))
    if "$octet" import megabyte-pytorch "$case/model.safetensors" --side "$case/case.json" -o "$work/model.safetensors" -q >"$work/out" &&
        "$octet" export -m "$work/model.safetensors" --to megabyte-pytorch -o "$work/export.safetensors" >"$work/side.json"; then
        "$python" "$here/export_check.py" "$work/export.safetensors" "$work/side.json" "$case" || failed=1
    else
        failed=1
    fi
done
[ "$n" -gt 0 ] || {
    echo "bench/export.sh: no model.safetensors under $data" >&2
    exit 1
}
exit $failed
