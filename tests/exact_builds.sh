#!/bin/sh
# exact_builds.sh [DIR]: compressed files do not hang on who built the program, how, or where it runs. Prints TAP.
#
# Builds octet with gcc and clang, -O0 to -O3, in DIR (default: build-exact); each build codes and restores the files
# of tests/data/oct on every instruction set and with several numbers of threads and of streams at once, one
# build the files of another. Minutes of building: not part of ./check.
cd "$(dirname "$0")/.." || exit 1
dir=${1:-build-exact} data=tests/data/oct
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
builds=
for cc in gcc clang; do
    for level in 0 1 2 3; do
        at=$dir/$cc-O$level
        [ -f "$at/build.ninja" ] ||
            CC=$cc meson setup "$at" -Dbuildtype=plain -Doptimization=$level -Dtests=disabled >"$work/log" 2>&1
        ninja -C "$at" octet >"$work/log" 2>&1 || {
            tail -n 20 "$work/log"
            echo "Bail out! $cc -O$level does not build"
            exit 1
        }
        builds="$builds $at"
    done
done
n=0 failed=0
digest() { sha256sum | cut -d ' ' -f 1; }
check() { # name, whether it holds
    n=$((n + 1))
    [ "$2" -eq 0 ] && echo "ok $n - $1" || { echo "not ok $n - $1"; failed=1; }
}
while read -r file model sum options; do
    model=$data/$model.safetensors
    OCTET_CPU=scalar "${builds##* }/octet" decompress -q -m "$model" -c "$data/$file.oct" >"$work/content"
    [ "$(digest <"$work/content")" = "$sum" ]
    check "$file is itself" $?
    for build in $builds; do
        for way in "amx 1 0" "avx512 2 4" "avx2 2 2" "scalar 5 1"; do
            # shellcheck disable=SC2086
            set -- $way
            if [ "$options" != earlier ]; then
                # shellcheck disable=SC2086
                OCTET_CPU=$1 "$build/octet" compress -q -m "$model" --threads $2 $options -c "$work/content" >"$work/packed"
                cmp -s "$work/packed" "$data/$file.oct"
                check "$file: coded by ${build##*/}, $1, $2 threads" $?
            fi
            at_once=$([ "$3" -eq 0 ] || echo "--streams $3")
            # shellcheck disable=SC2086
            [ "$(OCTET_CPU=$1 "$build/octet" decompress -q -m "$model" --threads $2 $at_once -c "$data/$file.oct" |
                digest)" = "$sum" ]
            check "$file: restored by ${build##*/}, $1, $2 threads, streams at once: $3 (0: all)" $?
        done
    done
done <$data/golden.txt
echo "1..$n"
exit $failed
