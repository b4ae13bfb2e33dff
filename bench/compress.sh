#!/bin/sh
# bench/compress.sh --data DIR [--out DIR] [--sets "NAME..."] [--rows "REGEX"]: octet compress beside other programs.
#
# One table over all rows of compress.tsv and all sets of data: size, bits per byte, speed each way, memory.
# Every cell is a round trip whose digests are compared; finished cells are kept under --out, so that the same command
# goes on where it was stopped. --sets canterbury: the eleven files of that corpus. Then, on the head of every set,
# what coding costs beyond the model's own probabilities. KB/s are bytes of content by seconds of processor time (user
# and system) of a whole process, so load moves them less than a clock on the wall. See bench/README.md.
usage() {
    sed -n '2s/^# //p' "$0" >&2
    exit 1
}
here=$(cd "$(dirname "$0")" && pwd)
data= out=$here/../run/compress rows=. checked=100000
sets="books-en-test alice29 code-test enwik8-head-4000000 fsdd-8k-test speech-en-kathleen-16k-test exe-x86_64-test
    dna-ecoli536-test img-rgb64-test img-fashion28-test"
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
    --data) data=$(cd "$2" && pwd) || exit 1 ;;
    --out) out=$2 ;;
    --sets) sets=$2 ;;
    --rows) rows=$2 ;;
    *) usage ;;
    esac
    shift 2
done
[ -d "$data" ] || usage
[ "$sets" != canterbury ] || sets="alice29.txt asyoulik.txt cp.html fields.c grammar.lsp kennedy.xls lcet10.txt plrabn12.txt
    ptt5 sum xargs.1"
octet=$here/../build/octet
[ -x "$octet" ] || { echo "build/octet is missing: see README.md" >&2; exit 1; }
[ -x /usr/bin/time ] || { echo "/usr/bin/time is missing (package time)" >&2; exit 1; }
mkdir -p "$out/data" "$out/cells" && out=$(cd "$out" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
in=$work/in back=$work/back
export octet in back

# A set as a file, unpacked once. Audio is WAV: 8-bit samples for fsdd, else as they are.
file_of() { # set
    to=$out/data/$1
    if [ ! -s "$to" ]; then
        case $1 in
        fsdd-*) sox -D "$data/speech/$1.flac" -t wav -e unsigned-integer -b 8 "$to.part" ;;
        speech-*) sox -D "$data/speech/$1.flac" -t wav "$to.part" ;;
        music-*) sox -D "$data/music/$1.flac" -t wav "$to.part" ;;
        *) xz -dkc "$(find "$data" -name "$1.*.xz" -o -name "$1.xz" | head -n 1)" >"$to.part" ;;
        esac || return 1
        mv "$to.part" "$to"
    fi
    echo "$to"
}

# Can this row be run on this file?
possible() { # what it takes, file
    case $1 in
    octet) return 0 ;;
    octet:*) "$octet" compress --help | grep -q -e "--${1#octet:}" ;;
    wav:*) [ "$(head -c 4 "$2")" = RIFF ] && command -v "${1#wav:}" >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# Runs a command; its seconds of processor time and KB of memory in $spent.
spend() { # command
    /usr/bin/time -q -o "$work/time" -f '%U %S %M' sh -c "$1" >/dev/null 2>"$work/err" </dev/null || {
        tail -n 2 "$work/err" >&2
        return 1
    }
    spent=$(awk '{ print $1 + $2, $3 }' "$work/time")
}

# One cell: content, compressed, and seconds and KB of both ways.
measure() { # cell, compress, restore
    rm -rf "$out_file" "$back"
    spend "$2" || return 1
    packed=$spent size=$(stat -c %s "$out_file")
    spend "$3" || return 1
    [ "$(sha256sum <"$in")" = "$(sha256sum <"$back")" ] || {
        echo "the round trip gave other bytes" >&2
        return 1
    }
    echo "$(stat -c %s "$in") $size $packed $spent" >"$1.part" && mv "$1.part" "$1"
}

tab=$(printf '\t')
for set in $sets; do
    file=$(file_of "$set") || { echo "$set: no such set in $data" >&2; continue; }
    cp "$file" in
    grep -v '^#' "$here/compress.tsv" | while IFS=$tab read -r name takes compress restore; do
        cell=$out/cells/$set.$(printf '%s' "$name" | tr -c 'a-zA-Z0-9' _)
        out_file=$work/packed
        out_=$out out=$out_file
        export out
        printf '%s' "$name" | grep -Eq -e "$rows" && [ ! -s "$cell" ] && possible "$takes" "$file" &&
            { measure "$cell" "$compress" "$restore" || echo "$set: $name failed" >&2; }
        out=$out_
    done
    # Coding beside the model's own probabilities, as one stream.
    cell=$out/cells/$set.probabilities
    if [ ! -s "$cell" ]; then
        head -c $checked in >head
        "$octet" compress -q --plain -m text --codec raw --streams 1 -c head >head.oct &&
            bits=$("$octet" score -q -m text --json head | sed -nE 's/.*"bits": ([0-9.]+), "bpb".*"device".*/\1/p') &&
            "$octet" compress -l --json head.oct | sed -nE "s/.*\"payload\": ([0-9]+),.*\"stored\": ([0-9]+).*/$bits \1 \2/p" \
                >"$cell"
    fi
done

echo "$(nproc) processors, $(sed -nE 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
for set in $sets; do
    ls "$out/cells/$set."* >/dev/null 2>&1 || continue
    printf '\n%s\n%-18s %10s %7s %9s %9s %7s %7s\n' "$set, $(stat -Lc %s "$out/data/$set") bytes" "" bytes bpb \
        "KB/s" "back" "MB" "back"
    grep -v '^#' "$here/compress.tsv" | while IFS=$tab read -r name takes compress restore; do
        cell=$out/cells/$set.$(printf '%s' "$name" | tr -c 'a-zA-Z0-9' _)
        [ -s "$cell" ] && awk -v name="$name" '
            function rate(bytes, seconds) { # times are in steps of 0.01 s
                return sprintf("%s%.0f", seconds < 0.02 ? ">" : "", bytes / (seconds + 0.005) / 1e3)
            }
            { printf "%-18s %10d %7.4f %9s %9s %7.1f %7.1f\n", name, $2, 8 * $2 / $1, rate($1, $3), rate($1, $5),
                  $4 / 1e3, $6 / 1e3 }' "$cell"
    done
    [ -s "$out/cells/$set.probabilities" ] && awk '{
        if ($3) { print "the head is stored: its probabilities promise no gain"; next }
        most = $1 / 8 * 1.0005 + 16
        printf "coding the head as one stream: %d bytes, the model'"'"'s -log2 p %.1f, %s 0.05%% and 16 bytes\n", $2, $1 / 8,
            $2 <= most ? "within" : "MORE THAN" }' "$out/cells/$set.probabilities"
done
exit 0
