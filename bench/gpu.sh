#!/bin/sh
# bench/gpu.sh [--data DIR] [--out DIR] [--device vulkan:N] [--python PYTHON] [--minutes M] [--stop-after M] [--build DIR] [--quick]:
# everything that a GPU is measured by, unattended, with PyTorch on the same GPU beside it; one table at the end.
#
# Products and attention; training of bench/configs/gpu-{20m,100m,350m}.json; generating 1, 16 and 256 streams of the
# second; with --data a text model trained for M minutes (default 10), scored beside the bundled one. Each part is
# kept under DIR/parts (default run/gpu) when it is whole: run the command again to go on. After --stop-after minutes no
# further part begins. --quick is for a look at the script: tiny sizes, on a device that is named.
usage() {
    sed -n '2s/^# //p' "$0" >&2
    exit 1
}
here=$(cd "$(dirname "$0")" && pwd)
data='' out='' device='' python=python3 minutes=10 stop=1440 build='' quick=''
while [ $# -gt 0 ]; do
    [ "$1" = --quick ] && quick=1 && shift && continue
    [ $# -ge 2 ] || usage
    case $1 in
    --data) data=$(cd "$2" && pwd) || exit 1 ;;
    --out) mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 1 ;;
    --device) device=$2 ;;
    --python) python=$2 ;;
    --minutes) minutes=$2 ;;
    --stop-after) stop=$2 ;;
    --build) build=$(cd "$2" && pwd) || exit 1 ;;
    *) usage ;;
    esac
    shift 2
done
cd "$here/.." || exit 1
if [ -z "$build" ]; then
    build=build
    [ -f build/build.ninja ] || meson setup build -Dbuildtype=release >&2 || exit 1
    ninja -C build octet bench/vulkan_bench samples/programs/example-shrink >&2 || exit 1
fi
octet=$build/octet
: "${out:=run/gpu}"
mkdir -p "$out/parts" || exit 1
"$octet" devices >"$out/devices" || exit 1
[ -n "$device" ] || ! grep vulkan: "$out/devices" | grep -qv software || device=vulkan
[ -n "$device" ] || { echo "gpu.sh: no GPU here; --device names another device of octet devices" >&2; exit 1; }
sizes='20m 100m 350m' streams='1 16 256' of=100m bytes=2112 most=8192 seconds=2 torch=cuda limit=540
[ -n "$quick" ] && sizes=quick streams='1 4' of=quick bytes=96 most=128 seconds=0.05 torch=cpu limit=60
begin=$(date +%s)

# One part: what the command prints, fields figure, column, value, is kept when it is done; one that fails, or takes
# too long, is tried again by the next run, and the others go on. 77: not here, now or later.
part() { # name, command
    name=$1
    shift
    [ -e "$out/parts/$name" ] && return
    [ $(($(date +%s) - begin)) -lt $((stop * 60)) ] || { echo "$name: left for the next run" >&2; return; }
    echo "$name" >&2
    "$@" >"$out/part.new"
    code=$?
    case $code in
    0) mv "$out/part.new" "$out/parts/$name" ;;
    77) ;;
    *) echo "gpu.sh: $name ended with $code" >&2 ;;
    esac
}

field() { # file, key
    sed -nE "s/.*\"$2\": \"?([^\",}]*).*/\1/p" "$1" | head -n 1
}

products() {
    number=${device#vulkan}
    # shellcheck disable=SC2086
    BENCH_MOST=$most timeout $limit "$build/bench/vulkan_bench" ${number#:} >"$out/products" || return
    awk '{ value = $(NF - 1) / 1e3; figure = "" }
        /^matmul [0-9]/ && $2 !~ /^1x/ { figure = "matmul.f32" }
        /^matmul f16/ { figure = "matmul.half" }
        /^attention T/ { figure = "attention.forward.f32" }
        /^attention backward/ { figure = "attention.backward.f32" }
        figure && value > best[figure] { best[figure] = value }
        END { for (f in best) printf "%s\toctet\t%.5g\n", f, best[f] }' "$out/products"
}

# Bytes a second of the steps after the second: the first compiles.
speed_of() { # log
    sed -nE 's/.*"bytes": ([0-9]+), "seconds": ([0-9.]+).*/\1 \2/p' "$1" | awk 'NR == 2 { start = $2 } NR > 2 { sum += $1 }
        END { printf "%.6g\n", sum / ($2 - start > 0 ? $2 - start : 0.01) }'
}

training() { # size, f32 or half
    matmul=exact
    [ "$2" = half ] && matmul=f16
    case $1 in 20m) steps=96 ;; 100m) steps=24 ;; 350m) steps=12 ;; *) steps=4 ;; esac
    timeout $limit "$octet" train -q --device "$device" --matmul $matmul -c "bench/configs/gpu-$1.json" -o "$out/train" \
        --steps $steps --valid-every 1000 --valid-bytes 4096 --seed 1 "$out/text" >&2 || { code=$?; rm -rf "$out/train"; return $code; }
    printf 'train.%s.%s\toctet\t%s\n' "$1" "$2" "$(speed_of "$out/train/log.jsonl")"
    "$octet" info -c "bench/configs/gpu-$1.json" --json >"$out/info.json"
    printf 'flops.%s\toctet\t%s\n' "$1" "$(field "$out/info.json" training_flops)"
    [ "$1" = "$of" ] && mv "$out/train/best.safetensors" "$out/generate.safetensors"
    rm -rf "$out/train"
}

# Of all streams together, by the bytes of each beyond the first 64; the better of two runs of each.
generating() { # streams
    for n in 64 64 "$bytes" "$bytes"; do
        start=$(date +%s.%N)
        timeout $limit "$octet" generate -q --device "$device" --samples "$1" -m "$out/generate.safetensors" --seed 1 -n "$n" \
            --prompt "The " >/dev/null || return
        echo "$n $start $(date +%s.%N)"
    done | awk -v figure="generate.$of.$1" -v streams="$1" '{ n[NR] = $1; t[NR] = $3 - $2 }
        END { few = t[1] < t[2] ? t[1] : t[2]; many = t[3] < t[4] ? t[3] : t[4]
            if (NR != 4 || many <= few) exit 1
            printf "%s\toctet\t%.6g\n", figure, (n[4] - n[1]) * streams / (many - few) }'
}

pytorch() { # products | train CONFIG eager|compiled | generate CONFIG STREAMS...
    timeout $limit "$python" bench/vulkan_torch.py $torch $seconds $most "$@"
}

# The text model: 24 steps are clocked, the minutes divided by their time are the number of steps; interrupted it
# goes on from its checkpoint. What is scored is what would be bundled: the weights as bf16.
text() {
    for s in train valid test; do
        [ -s "$out/books-$s.txt" ] || { xz -dkc "$data/text/books-en-$s.txt.xz" >"$out/books.part" &&
            mv "$out/books.part" "$out/books-$s.txt"; } || return
    done
    config=bench/configs/gpu-text.json run=$out/text-model
    [ -n "$quick" ] && config=bench/configs/gpu-quick.json
    common="--valid $out/books-valid.txt --valid-bytes 131072 --seed 1 --device $device -q"
    # shellcheck disable=SC2086
    if [ ! -s "$out/text-steps" ]; then
        "$octet" train "$out/books-train.txt" -c "$config" -o "$out/clock" --steps 24 --valid-every 1000 $common >&2 || return
        speed=$(speed_of "$out/clock/log.jsonl")
        bytes=$(sed -nE '1s/.*"bytes": ([0-9]+).*/\1/p' "$out/clock/log.jsonl")
        rm -rf "$out/clock"
        awk "BEGIN { printf \"%d\n\", 1 + $minutes * 60 * $speed / $bytes }" >"$out/text-steps"
    fi
    # shellcheck disable=SC2086
    "$octet" train "$out/books-train.txt" -c "$config" -o "$run" --steps "$(cat "$out/text-steps")" --resume $common >&2 || return
    "$build/samples/programs/example-shrink" "$run" "$out/text.safetensors" >&2 && cp "$run/curves.svg" "$out/curves.svg" || return
    test=$out/books-test.txt
    [ -n "$quick" ] && head -c 2000 "$test" >"$out/books-quick.txt" && test=$out/books-quick.txt
    for m in text bundled; do
        model=text
        [ $m = text ] && model=$out/text.safetensors
        "$octet" score -m "$model" --device "$device" --json -q "$test" >"$out/score.json" || return
        printf '%s.bpb\toctet\t%s\n' $m "$(field "$out/score.json" bpb)"
    done
    printf 'text.steps\toctet\t%s\n' "$(cat "$out/text-steps")"
    printf 'text.MB\toctet\t%s\n' "$(wc -c <"$out/text.safetensors" | awk '{ print $1 / 1e6 }')"
}

cat README.md MATH.md CONTRIBUTING.md FORMAT.md >"$out/text"
part octet-products products
part torch-products pytorch products
for size in $sizes; do
    part "octet-train-$size-f32" training "$size" f32
    part "octet-train-$size-half" training "$size" half
    for way in eager compiled; do
        part "torch-train-$size-$way" pytorch train "bench/configs/gpu-$size.json" $way
    done
done
for s in $streams; do
    part "octet-generate-$s" generating "$s"
done
# shellcheck disable=SC2086
part torch-generate pytorch generate "bench/configs/gpu-$of.json" $streams
[ -n "$data" ] && part text text
cat "$out"/parts/* | awk -v of="$of" -v quick="$quick" -f bench/gpu.awk >"$out/table.tsv"
{
    cat "$out/devices"
    echo
    awk -F '\t' '{ printf "%-26s %-8s %12s %12s %12s %8s   %s\n", $1, $2, $3, $4, $5, $6, $7 }' "$out/table.tsv"
} | tee "$out/table.txt"
