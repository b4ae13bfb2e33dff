#!/bin/sh
# bench/experiments.sh SUITE --data DIR [--out DIR] [--minutes M]: trains every row of a suite of
# experiments.tsv for the same time, scores it, and prints one table and one picture of the curves.
#
# First it clocks every row, 16 steps each: nothing else may run meanwhile. The minutes divided by a row's median
# step are its number of steps. Trainings come after; what they compute does not hang on what else runs.
#
# A row that has its result is kept, one that was interrupted goes on where its last checkpoint is: run the
# command again. Rows with equal configurations share one training. DIR holds the data sets as they are
# described in README.md; only validation files are scored.
usage() {
    sed -n '2,3s/^# //p' "$0" >&2
    exit 1
}
here=$(cd "$(dirname "$0")" && pwd)
suite=$1 data= out= minutes=
[ -n "$suite" ] && shift || usage
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
    --data) data=$(cd "$2" && pwd) || exit 1 ;;
    --out) mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 1 ;;
    --minutes) minutes=$2 ;;
    *) usage ;;
    esac
    shift 2
done
[ -d "$data" ] || usage
grep -q "^$suite	" "$here/experiments.tsv" || usage
case $suite in levels) : "${minutes:=10}" ;; *) : "${minutes:=5}" ;; esac
cd "$here/.." || exit 1
: "${out:=run/$suite}"
octet=$PWD/build/octet
[ -x "$octet" ] || { echo "build/octet is missing: see README.md" >&2; exit 1; }
mkdir -p "$out/data"

# A file of a data set as bytes, unpacked once: text and images by xz, speech as unsigned 8-bit samples.
# Clips are the recordings themselves, which the configuration's codec reads.
bytes_of() { # set, train or valid
    [ "$1" = clips ] && echo "$data/speech/fsdd-8k-$2.flac" && return
    to=$out/data/$1-$2
    if [ ! -s "$to" ]; then
        case $1 in
        books) xz -dkc "$data/text/books-en-$2.txt.xz" >"$to.part" ;;
        images) xz -dkc "$data/bytes/img-rgb64-$2.raw.xz" >"$to.part" ;;
        speech) sox -D "$data/speech/fsdd-8k-$2.flac" -t raw -e unsigned-integer -b 8 "$to.part" ;;
        esac || exit 1
        mv "$to.part" "$to" || exit 1
    fi
    echo "$to"
}

field() { # file, key
    sed -nE "s/.*\"$2\": \"?([^\",}]*).*/\1/p" "$1" | head -n 1
}

# What M minutes alone on this machine hold: steps and bytes/s by the median of 16 steps, in FOLDER/clock.
clock() { # set, folder of the training, configuration
    train=$(bytes_of "$1" train) || exit 1
    mkdir -p "$2"
    printf '%s\n' "$3" >"$2/config.json"
    [ -s "$2/clock" ] && return
    rm -rf "$2/clocked"
    "$octet" train "$train" -c "$2/config.json" -o "$2/clocked" --steps 16 --valid-every 100 --seed 1 >&2 || return 1
    sed -nE 's/.*"bytes": ([0-9]+), "seconds": ([0-9.]+).*/\1 \2/p' "$2/clocked/log.jsonl" |
        awk 'NR > 1 { print $2 - last, $1 } { last = $2 }' | sort -n |
        awk -v minutes="$minutes" '{ t[NR] = $1; bytes = $2 }
            END { m = t[int((NR + 1) / 2)]; printf "%d %.1f\n", minutes * 60 / m + 0.5, bytes / m / 1e3 }' >"$2/clock.part" &&
        mv "$2/clock.part" "$2/clock" && rm -rf "$2/clocked"
    echo "$(basename "$2"): $(cut -d ' ' -f 1 "$2/clock") steps" >&2
}

# One line of the table: row, weights, bytes trained on, bytes/s, bits per byte of the whole validation file.
result() { # row, set, score options, folder of the training
    train=$(bytes_of "$2" train) valid=$(bytes_of "$2" valid) || exit 1
    read -r steps speed <"$4/clock" || return 1
    "$octet" train "$train" -c "$4/config.json" -o "$4" --valid "$valid" --steps "$steps" --seed 1 --resume \
        >&2 || return 1
    # shellcheck disable=SC2086
    "$octet" score -m "$4" $3 --json -q "$valid" >"$out/score.json" || return 1
    "$octet" info -m "$4" --json >"$out/info.json" || return 1
    awk -v row="$1" -v weights="$(field "$out/info.json" parameters)" -v bpb="$(field "$out/score.json" bpb)" -v speed="$speed" '
        /"seconds"/ { match($0, /"bytes": [0-9]+/); bytes += substr($0, RSTART + 9, RLENGTH - 9) }
        END { printf "%s\t%s\t%.1f\t%s\t%.4f\n", row, weights, bytes / 1e6, speed, bpb }
    ' "$4/log.jsonl" >"$out/$1.part" && mv "$out/$1.part" "$out/$1.result"
}

# Calls a command for every row of the suite: row, set, score options, folder of its training, configuration.
# Rows of one configuration are one training: the first one's folder.
each_row() { # command
    grep "^$suite$tab" "$here/experiments.tsv" | while IFS= read -r line; do
        row=$(printf '%s\n' "$line" | cut -f 2)
        set=$(printf '%s\n' "$line" | cut -f 3)
        options=$(printf '%s\n' "$line" | cut -f 4)
        json=$(printf '%s\n' "$line" | cut -f 5)
        first=$(grep "^$suite$tab" "$here/experiments.tsv" |
            awk -F '\t' -v set="$set" -v json="$json" '$3 == set && $5 == json { print $2; exit }')
        [ -s "$out/$row.result" ] || "$1" "$row" "$set" "$options" "$out/$first" "$json" || echo "$row failed" >&2
    done
}

clock_row() {
    clock "$2" "$4" "$5"
}

tab=$(printf '\t')
each_row clock_row
each_row result

echo "suite $suite, $minutes minutes a row, $(nproc) processors, $(sed -nE 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
printf '%-16s %10s %10s %8s %10s\n' row weights "trained MB" kB/s "valid bpb"
logs=
for row in $(grep "^$suite$tab" "$here/experiments.tsv" | cut -f 2); do
    [ -s "$out/$row.result" ] || continue
    awk -F '\t' '{ printf "%-16s %10s %10s %8s %10s\n", $1, $2, $3, $4, $5 }' "$out/$row.result"
    [ -s "$out/$row/log.jsonl" ] && logs="$logs speed=$(cut -f 4 "$out/$row.result") $out/$row/log.jsonl"
done
[ -n "$logs" ] || exit 1
# shellcheck disable=SC2086
awk -f "$here/experiments.awk" $logs >"$out/$suite.svg" && echo "curves: $out/$suite.svg"
