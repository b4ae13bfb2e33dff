#!/bin/sh
# bench/costs.sh [--out DIR]: what a byte costs against context, patch size, levels, batch and threads:
# one table and one picture of speeds and memory.
#
# Every point is a process of its own, `octet bench -c`, so that its memory is known. Points that have their
# result are kept: run the command again to go on. Weights are random; sizes are those of samples/bench-a.json
# where nothing else is said; in the sweep of contexts patches have 32 bytes.
cd "$(dirname "$0")/.." || exit 1
out=run/costs
[ "$1" = --out ] && out=$2
octet=build/octet
[ -x "$octet" ] || { echo "build/octet is missing: see README.md" >&2; exit 1; }
mkdir -p "$out" || exit 1

two() { # context, patch, batch, keys of the global level
    printf '{"context": %d, "levels": [{"dim": 256, "layers": 4, "heads": 4, "patch": %d%s}, {"dim": 128, "layers": 2, "heads": 2}], "train": {"batch": %d}}\n' "$1" "$2" "$4" "$3"
}

point() { # sweep, value, configuration, threads, benchmarks...
    name=$1-$2
    printf '%s\n' "$3" >"$out/$name.json"
    threads=$4
    sweep=$1 value=$2
    shift 4
    [ -s "$out/$name.tsv" ] && return
    for what; do
        "$octet" bench -c "$out/$name.json" --threads "$threads" --json "$what" | tr '{' '\n' |
            sed -nE "s/^\"name\": \"([^\"]*)\", \"value\": ([^,]*),.*/$sweep\t$value\t\1\t\2/p" |
            sed "s/\tmemory\t/\t$what.memory\t/"
    done >"$out/$name.part"
    [ -s "$out/$name.part" ] && mv "$out/$name.part" "$out/$name.tsv" && cat "$out/$name.tsv" >&2
}

all=$(nproc)
for context in 1024 4096 16384 65536 262144 1048576; do
    training=$([ "$context" -gt 16384 ] || echo train)
    # shellcheck disable=SC2086
    point context "$context" "$(two "$context" 32 $(((context + 32767) / context)) "")" "$all" $training score generate.first generate.last
    [ "$context" -le 16384 ] ||
        point window "$context" "$(two "$context" 32 1 ', "window": 256')" "$all" score generate.first generate.last
done
for patch in 2 4 8 16 32; do
    point patch "$patch" "$(two 4096 "$patch" 8 "")" "$all" train score generate.first
done
inner='{"dim": 128, "layers": 2, "heads": 2}'
point levels 1 "{\"context\": 4096, \"levels\": [{\"dim\": 256, \"layers\": 4, \"heads\": 4}], \"train\": {\"batch\": 8}}" "$all" train score generate.first
point levels 2 "$(two 4096 8 8 "")" "$all" train score generate.first
point levels 3 "{\"context\": 4096, \"levels\": [{\"dim\": 256, \"layers\": 4, \"heads\": 4, \"patch\": 4}, {\"dim\": 256, \"layers\": 2, \"heads\": 4, \"patch\": 4}, $inner], \"train\": {\"batch\": 8}}" "$all" train score generate.first
point levels 4 "{\"context\": 4096, \"levels\": [{\"dim\": 256, \"layers\": 4, \"heads\": 4, \"patch\": 4}, {\"dim\": 256, \"layers\": 2, \"heads\": 4, \"patch\": 4}, {\"dim\": 128, \"layers\": 2, \"heads\": 2, \"patch\": 2}, $inner], \"train\": {\"batch\": 8}}" "$all" train score generate.first
for batch in 1 2 4 8 16 32; do
    point batch "$batch" "$(two 1024 8 "$batch" "")" "$all" train
done
for threads in 1 2 5; do
    point threads "$threads" "$(two 1024 8 8 "")" "$threads" train score generate.first generate.16
done

cat "$out"/*.tsv | sort -t "$(printf '\t')" -k 1,1 -k 2,2n >"$out/costs.txt"
awk -F '\t' '
    {
        key = $1 "\t" $2
        if (!(key in seen)) { seen[key] = 1; order[++n] = key }
        value[key, $3] = $4
        if (!($3 in known)) { known[$3] = 1; what[++m] = $3 }
    }
    END {
        printf "%-9s %9s", "sweep", "value"
        for (j = 1; j <= m; j++) printf " %21s", what[j]
        print ""
        for (i = 1; i <= n; i++) {
            split(order[i], part, "\t")
            printf "%-9s %9s", part[1], part[2]
            for (j = 1; j <= m; j++)
                printf " %21s", (order[i], what[j]) in value ? sprintf("%.0f", value[order[i], what[j]]) : "-"
            print ""
        }
    }' "$out/costs.txt"
awk -f bench/costs.awk "$out/costs.txt" >"$out/costs.svg" && echo "picture: $out/costs.svg"
