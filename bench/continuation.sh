#!/bin/sh
# bench/continuation.sh [-m MODEL] [-o FOLDER] FILE: a model's continuations of 200 pieces of a recording
# beside the real ones and beside simple guesses (bench/README.md): a table, and spectrograms of the
# first of four saved clips. The model reads pcm8 at 8,000 Hz, one channel; FILE is any audio.
root=$(dirname "$0")/..
model=speech out=run/continuation
while getopts m:o: option; do
    case $option in
        m) model=$OPTARG ;;
        o) out=$OPTARG ;;
        *) exit 1 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] || {
    echo "usage: bench/continuation.sh [-m MODEL] [-o FOLDER] FILE" >&2
    exit 1
}
build=$root/build
[ -f "$build/build.ninja" ] || meson setup "$build" "$root" -Dbuildtype=release >/dev/null || exit 1
ninja -C "$build" octet bench/continuation_stats >/dev/null || exit 1
mkdir -p "$out" || exit 1
: "${OCTET_MODELS:=$root/samples/models}"
export OCTET_MODELS
"$build/bench/continuation_stats" "$model" "$1" "$out" || exit 1
for clip in 1 2 3 4; do
    set --
    for kind in real model noise predictor repeated; do
        set -- "$@" "$out/clip-$clip-$kind.wav"
    done
    "$build/octet" plot "$@" --mark 0.5 -o "$out/clip-$clip.svg" || exit 1
done
echo "pictures: $out/clip-1.svg to clip-4.svg"
