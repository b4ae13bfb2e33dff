#!/bin/sh
# tests/cooperative_test.sh BUILD MESA: products by cooperative matrices, on Mesa's software device of Debian 13's
# backports, which has them, under the validation layer; and their shader in the tree against its source. Prints TAP.
#
# MESA is what tests/lavapipe.sh MESA trixie unpacked. No device is a failure, as is any message of the layer.
build=$1
folder=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$2/environment" || exit 1
. "$folder/tests/vulkan_case.sh"

GLSLC="$OCTET_RUN $OCTET_TOOLS/glslc" sh "$folder/shaders/compile.sh" "$work/spirv_cooperative.inc" \
    "$folder/shaders/cooperative" >"$work/compile" 2>&1 &&
    cmp "$work/spirv_cooperative.inc" "$folder/shaders/spirv_cooperative.inc" >>"$work/compile" 2>&1
result $? "shaders/spirv_cooperative.inc is what shaders/compile.sh makes of the sources" "$work/compile"
invalid=0
for source in "$folder"/shaders/cooperative/*.comp; do
    $OCTET_RUN "$OCTET_TOOLS/glslc" --target-env=vulkan1.2 -o "$work/shader.spv" "$source" >>"$work/invalid" 2>&1 &&
        $OCTET_RUN "$OCTET_TOOLS/spirv-val" --target-env vulkan1.2 "$work/shader.spv" >>"$work/invalid" 2>&1 || invalid=1
done
result $invalid "spirv-val finds nothing wrong with them" "$work/invalid"
cat >"$work/vk_layer_settings.txt" <<END
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn
khronos_validation.log_filename = $work/messages
khronos_validation.validate_sync = true
END
export OCTET_VULKAN=0 CMOCKA_MESSAGE_OUTPUT=TAP
for test in vulkan_half_test vulkan_op_test; do
    VK_LAYER_SETTINGS_PATH="$work/vk_layer_settings.txt" VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation \
        $OCTET_RUN "$build/tests/$test" >"$work/$test" 2>&1 </dev/null
    code=$?
    [ $code -eq 0 ] && ! grep -q '# skip' "$work/$test"
    result $? "$test passes on Mesa $OCTET_MESA" "$work/$test"
    [ -f "$work/messages" ] && [ ! -s "$work/messages" ]
    result $? "the validation layer was there and had nothing to say of $test" "$work/messages"
    rm -f "$work/messages"
done
echo "1..$n"
exit $failed
