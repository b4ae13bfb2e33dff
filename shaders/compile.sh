#!/bin/sh
# shaders/compile.sh [FILE [FOLDER]]: compiles FOLDER/*.comp (default shaders) into FILE (default
# shaders/spirv.inc), which the library is built from. glslc 2023.2, of Debian 12, gives the file in the tree;
# vulkan_test.sh holds it. Cooperative matrices need a newer one, 2025.2 of Debian 13:
#     GLSLC=... shaders/compile.sh shaders/spirv_cooperative.inc shaders/cooperative
# Without -O: the optimizer unrolls loops and forgets in the copies what `precise` asked for.
own=$(dirname "$0")
out=${1:-$own/spirv.inc} folder=${2:-$own}
work=$(mktemp -d) || exit 1
echo "/* $(basename "$out"): made by shaders/compile.sh from the shaders; not to be edited. */" >"$work/all"
for source in "$folder"/*.comp; do
    name=$(basename "$source" .comp)
    # shellcheck disable=SC2086
    ${GLSLC:-glslc} --target-env=vulkan1.2 -mfmt=num -o "$work/$name" "$source" || exit 1
    spirv=$(printf 'static const uint32_t spirv_%s[] = {' "$name")
    { echo "$spirv"; cat "$work/$name"; echo "};"; } >>"$work/all"
done
cp "$work/all" "$out"
