#!/bin/sh
# bench/run.sh [OPTION...]: all benchmarks of `octet bench` beside their targets, as one table.
#
# Builds an optimised program in build/ if there is none; options (--threads N) go to the program. The exit
# code says whether the program ran, not whether targets are met. See bench/README.md.
cd "$(dirname "$0")/.." || exit 1
octet=build/octet
if [ ! -x "$octet" ]; then
    sh ./packages.sh gcc libc6-dev meson ninja-build pkg-config libjansson-dev libxxhash-dev zlib1g-dev \
        libsndfile1-dev libsamplerate0-dev libpng-dev libopenblas0-pthread ||
        exit 1
    [ -f build/build.ninja ] || meson setup build -Dbuildtype=release >&2 || exit 1
    ninja -C build octet >&2 || exit 1
fi

# The value of a string or number in one line of JSON.
field() { # JSON, key
    printf '%s\n' "$1" | sed -nE "s/.*\"$2\": \"?([^\",}]*).*/\1/p"
}

where=$("$octet" info --json "$@") || exit
echo "processor  $(sed -nE 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
echo "threads    $(field "$where" threads) (matmul: 1, and so its peer)"
echo "kernels    $(field "$where" cpu)"
echo "load       $(cut -d ' ' -f 1 /proc/loadavg) before the start"
echo

rows=$("$octet" bench --json "$@") || exit

# One object a line.
printf '%s\n' "$rows" | tr '{' '\n' | awk '
function text(key,    at) {
    at = index($0, "\"" key "\": ")
    if (!at) return "null"
    at = substr($0, at + length(key) + 4)
    if (substr(at, 1, 1) == "\"") { at = substr(at, 2); return substr(at, 1, index(at, "\"") - 1) }
    sub(/[,}].*/, "", at)
    return at
}
function short(number) {
    return number == "-" ? "-" : sprintf(number < 10 ? "%.3f" : number < 100 ? "%.1f" : "%.0f", number)
}
# label: name, value and unit; measured: what is held against the target, "-" for nothing
function line(label, measured, target, of,    verdict, all) {
    verdict = target == "" || measured == "-" ? "" : measured >= target + 0 ? "met" : "not met"
    all = sprintf("%-38s %10s %8s  %-22s %s", label, short(measured), target == "" ? "-" : target, of, verdict)
    sub(/ +$/, "", all)
    print all
}
BEGIN {
    of_peer["matmul.m1"] = "0.95"; of_peer["matmul.m8"] = "2.00"
    of_peer["matmul.m64"] = "1.10"; of_peer["matmul.m256"] = "1.05"
    plain["train.a"] = "0.50"; plain["train.b"] = "0.60"
    plain["generate.a"] = "12000"; plain["generate.b"] = "700"
    of_bound["generate.b"] = "0.60"
    printf "%-12s %10s %-14s %10s %8s  %s\n", "name", "value", "unit", "measured", "target", "of"
}
/"name"/ {
    name = text("name"); value = text("value") + 0; unit = text("unit")
    ratio = text("ratio"); bound = text("bound")
    label = sprintf("%-12s %10s %s", name, short(value), unit)
    if (name in of_peer)
        line(label, ratio == "null" ? "-" : ratio + 0, of_peer[name],
            ratio == "null" ? "no peer found" : "ratio to " text("peer"))
    else if (name in plain)
        line(label, value, plain[name], unit)
    else
        print label
    if (bound + 0 > 0)
        line("", value / bound, of_bound[name], "of what memory allows")
}'
