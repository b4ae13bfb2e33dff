#!/bin/sh
# golden_test.sh BINARY: the bundled model gives the very probabilities and bytes that it gave when it was
# bundled, with every instruction set and number of threads. Prints TAP.
#
# tests/data/golden.txt holds the sums; a change of the arithmetic or of the model must change it knowingly:
# golden_test.sh BINARY --print prints what to put there.
octet=$1
cd "$(dirname "$0")/.." || exit 1
export OCTET_MODELS=$PWD/samples/models
part=$(mktemp) || exit 1
trap 'rm -f "$part"' EXIT
head -c 1500 samples/text/sample.txt >"$part"

scored() { "$octet" score --per-byte -q "$@" "$part" | sha256sum | cut -d ' ' -f 1; }
generated() {
    "$octet" generate --prompt "The" -n 300 --temperature 0.9 --top-k 40 --seed 7 -q "$@" | sha256sum |
        cut -d ' ' -f 1
}
if [ "$2" = --print ]; then
    echo "score $(scored)"
    echo "int8 $(scored --profile int8)"
    echo "generate $(generated)"
    exit
fi
n=0 failed=0
expect() { # what, sum, label
    n=$((n + 1))
    if [ "$2" = "$(sed -n "s/^$1 //p" tests/data/golden.txt)" ]; then
        echo "ok $n - $1 $3"
    else
        echo "not ok $n - $1 $3: $2"
        failed=1
    fi
}
for cpu in avx512 avx2 scalar; do
    for threads in 1 5; do
        export OCTET_CPU=$cpu
        expect score "$(scored --threads $threads)" "$cpu, $threads threads"
        expect int8 "$(scored --profile int8 --threads $threads)" "$cpu, $threads threads"
        expect generate "$(generated --threads $threads)" "$cpu, $threads threads"
    done
done
echo "1..$n"
exit $failed
