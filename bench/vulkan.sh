#!/bin/sh
# bench/vulkan.sh [DEVICE]: products, attention, training and generating on a Vulkan device (default: the best GPU),
# training with factors of f16 where it has cooperative matrices, and training and generating on the CPU beside it.
# Unattended; prints one table.
cd "$(dirname "$0")/.." || exit 1
device=${1:-vulkan}
[ -f build/build.ninja ] || meson setup build -Dbuildtype=release >&2 || exit 1
ninja -C build octet bench/vulkan_bench >&2 || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
build/octet devices
case $device in
    vulkan) build/bench/vulkan_bench || exit ;;
    *) build/bench/vulkan_bench "${device#vulkan:}" || exit ;;
esac
cat README.md MATH.md CONTRIBUTING.md FORMAT.md >"$work/text"
# Bytes a second of training, from the log: the steps after the first, which compiles.
for config in ${BENCH_CONFIGS:-bench-a bench-b}; do
    for on in "$device" "$device-f16" cpu; do
        matmul=exact
        [ "$on" = "$device-f16" ] && matmul=f16
        build/octet train -q --device "${on%-f16}" --matmul $matmul -c "samples/$config.json" -o "$work/$config.$on" --steps 12 \
            --seed 1 "$work/text" >/dev/null || { [ $matmul = f16 ] && continue || exit; }
        awk -v name="train $config on $on" -F'[:,}]' '/"step"/ && /"seconds"/ {
            for (i = 1; i < NF; i++) { if ($i ~ /"bytes"/) bytes = $(i + 1); if ($i ~ /"seconds"/) at = $(i + 1) }
            if (!n++) start = at; else sum += bytes } END { printf "%-36s %12.0f bytes/s\n", name, sum / (at - start) }' \
            "$work/$config.$on/log.jsonl"
    done
    # Of all streams together: 512 bytes of each beyond the first 64.
    for on in "$device" cpu; do
        for streams in ${BENCH_STREAMS:-1 16 256}; do
            for profile in f32 int8; do
                for n in 64 576; do
                    start=$(date +%s.%N)
                    build/octet generate -q --device "$on" --profile $profile --samples "$streams" \
                        -m "$work/$config.cpu/last.safetensors" --seed 1 -n $n --prompt "The " >/dev/null || exit
                    echo "$n $start $(date +%s.%N)"
                done | awk -v name="generate $config, $profile, $streams on $on" -v streams="$streams" '{ t[NR] = $3 - $2 }
                    END { printf "%-36s %12.1f bytes/s\n", name, 512 * streams / (t[2] - t[1]) }'
            done
        done
    done
done
