#!/bin/sh
# bench/peers.sh [--python PYTHON] [--threads N] [--seconds S]: training and generating beside PyTorch.
#
# The shapes of MEGABYTE-pytorch's README and of bGPT in build/octet and in the implementations themselves, one after
# the other in one run, f32, one sequence of one context a step. Where torch, MEGABYTE-pytorch or transformers are not
# installed the peer's column stays empty. See bench/README.md.
python=python3 threads=$(nproc) seconds=10
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 1; }
    case $1 in
    --python) python=$2 ;;
    --threads) threads=$2 ;;
    --seconds) seconds=$2 ;;
    *) sed -n '2s/^# //p' "$0" >&2; exit 1 ;;
    esac
    shift 2
done
here=$(cd "$(dirname "$0")" && pwd)
octet=$here/../build/octet
[ -x "$octet" ] || { echo "build/octet is missing: see README.md" >&2; exit 1; }

# The peer generates at byte 2,048, where it is faster than later; ours at the end of its context.
ours() { # name
    "$octet" bench -c "$here/configs/$1.json" train generate.last --threads "$threads" --json -q | tr '{' '\n' |
        sed -nE "s/^\"name\": \"(train|generate)(\.last)?\", \"value\": ([0-9.e+]*),.*/$1.\1\t\3/p"
}
peers=$("$python" "$here/peers_torch.py" "$threads" "$seconds") || peers=
mine=$(ours megabyte-pytorch; ours bgpt)
echo "$threads threads, $(sed -nE 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1); bytes/s"
printf '%s\n-\n%s\n' "$peers" "$mine" | awk -F '\t' '
    $0 == "-" { ours = 1; printf "%-28s %10s %10s %8s\n", "", "octet", "PyTorch", "ratio"; next }
    !ours && NF == 2 { peer[$1] = $2 }
    ours && $1 in peer { printf "%-28s %10.0f %10.1f %8.2f\n", $1, $2, peer[$1], $2 / peer[$1]; next }
    ours && NF == 2 { printf "%-28s %10.0f %10s %8s\n", $1, $2, "-", "-" }'
