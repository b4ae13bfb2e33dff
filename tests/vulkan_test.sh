#!/bin/sh
# tests/vulkan_test.sh BUILD MESA OCTET: the Vulkan backend on Mesa's software device, under the validation layer with
# synchronization validation; and the shaders in the tree against their sources. Prints TAP.
#
# BUILD holds the test programs, MESA what tests/lavapipe.sh unpacked. No device is a failure, as is any message of
# the layer. import_test is the one of the CPU, with its bounds: with OCTET_VULKAN imported models are on the device.
build=$1 octet=$3
folder=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$folder/tests/vulkan_case.sh"

sh "$folder/shaders/compile.sh" "$work/spirv.inc" >"$work/compile" 2>&1 &&
    cmp "$work/spirv.inc" "$folder/shaders/spirv.inc" >>"$work/compile" 2>&1
result $? "shaders/spirv.inc is what shaders/compile.sh makes of the sources" "$work/compile"
invalid=0
for source in "$folder"/shaders/*.comp; do
    glslc --target-env=vulkan1.2 -o "$work/shader.spv" "$source" >>"$work/invalid" 2>&1 &&
        spirv-val --target-env vulkan1.2 "$work/shader.spv" >>"$work/invalid" 2>&1 || invalid=1
done
result $invalid "spirv-val finds nothing wrong with the shaders" "$work/invalid"

# Without a device: the program says why, and goes on where it may.
printf 'Some text to be scored, twice the same.' >"$work/text"
"$octet" devices >"$work/out" 2>"$work/err" && grep -q '^cpu ' "$work/out"
result $? "octet devices lists the processor" "$work/err"
! VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent "$octet" score --device vulkan "$work/text" >"$work/out" 2>"$work/err" &&
    [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q 'vulkan: ' "$work/err"
result $? "--device vulkan without a device is one line of error" "$work/err"
VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent "$octet" score --device auto "$work/text" >"$work/out" 2>"$work/err" &&
    grep -q 'on the CPU: vulkan: ' "$work/err" && "$octet" score "$work/text" 2>/dev/null | cmp -s - "$work/out"
result $? "--device auto without a device computes on the CPU and says so" "$work/err"

. "$2/environment" || exit 1
export OCTET_VULKAN=0 CMOCKA_MESSAGE_OUTPUT=TAP
# Leaks of Mesa's own are not ours.
export ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"
"$octet" devices --json >"$work/out" 2>"$work/err" && grep -q "vulkan:0.*Mesa $OCTET_MESA" "$work/out"
result $? "the device is Mesa $OCTET_MESA" "$work/out"
! "$octet" score --device vulkan "$work/text" >"$work/out" 2>"$work/err" && grep -q 'none is a GPU' "$work/err"
result $? "a software device is not chosen unless it is named" "$work/err"

# The layer writes to a file of its own; when it is loaded it makes the file.
cat >"$work/vk_layer_settings.txt" <<END
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn
khronos_validation.log_filename = $work/messages
khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
END
export VK_LAYER_SETTINGS_PATH="$work/vk_layer_settings.txt" VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
: >"$work/all_messages"
for test in vulkan_op_test vulkan_model_test vulkan_fault_test import_test; do
    "$build/tests/$test" >"$work/$test" 2>&1 </dev/null
    code=$?
    cat "$work/messages" >>"$work/all_messages" || echo "$test: no layer was loaded" >>"$work/all_messages"
    rm -f "$work/messages"
    while read -r line; do
        case $line in
            "ok "*) result 0 "${line#*- }" ;;
            "not ok "*) result 1 "${line#*- }" "$work/$test" ;;
        esac
    done <"$work/$test"
    [ $code -eq 0 ] && ! grep -q '# skip' "$work/$test"
    result $? "$test ends well and skips nothing" "$work/$test"
done
# The commands, on the model in the tree: the same text costs the same, the same bytes are drawn.
bits() {
    sed -E 's/.*"bits": ([0-9.]+), "bpb".*/\1/' "$1"
}
"$octet" score --json --device vulkan:0 "$work/text" >"$work/device" 2>"$work/err" &&
    "$octet" score --json "$work/text" >"$work/cpu" 2>>"$work/err" && grep -q '"device": "vulkan:0"' "$work/device" &&
    echo "$(bits "$work/cpu") $(bits "$work/device")" | tee -a "$work/err" |
    awk '{ exit !($1 > 40 && $2 > 40 && $1 - $2 < 0.04 && $2 - $1 < 0.04) }'
result $? "score costs the same on the device" "$work/err"
cat "$work/messages" >>"$work/all_messages"
for device in cpu vulkan:0; do
    "$octet" generate -q --device $device --seed 1 -n 16 --prompt "The wind" >"$work/drawn.$device" 2>"$work/err"
done
[ -s "$work/drawn.cpu" ] && cmp "$work/drawn.cpu" "$work/drawn.vulkan:0" >>"$work/err" 2>&1
result $? "generate draws the same bytes on the device" "$work/err"
cat "$work/messages" >>"$work/all_messages"
cat >"$work/large.json" <<END
{"context": 8192, "levels": [{"dim": 16384, "layers": 48, "heads": 128, "patch": 8}, {"dim": 1024, "layers": 4, "heads": 8}]}
END
! "$octet" train --device vulkan:0 -c "$work/large.json" -o "$work/large" --steps 3 "$work/text" >"$work/out" 2>"$work/err" &&
    [ "$(wc -l <"$work/err")" -eq 1 ] && grep -Eq 'training needs [0-9.]+ MB, .* the device has [0-9.]+ MB' "$work/err" && [ ! -e "$work/large" ]
result $? "a model too large for the device is refused with both sizes before anything is made" "$work/err"
cat "$work/messages" >>"$work/all_messages"
refused=0
for device in cpu vulkan:0; do
    "$octet" train --device $device --matmul f16 -c "$folder/samples/tiny.json" -o "$work/half" --steps 3 "$work/text" \
        >"$work/out" 2>"$work/err" && continue
    [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q 'cooperative matrices' "$work/err" && refused=$((refused + 1))
done
[ $refused -eq 2 ] && [ ! -e "$work/half" ]
result $? "--matmul f16 without cooperative matrices is refused in one line" "$work/err"
cat "$work/messages" >>"$work/all_messages"
[ ! -s "$work/all_messages" ]
result $? "the validation layer was there and had nothing to say" "$work/all_messages"
echo "1..$n"
exit $failed
