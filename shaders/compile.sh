#!/bin/sh
# shaders/compile.sh [FILE]: compiles shaders/*.comp into FILE (default shaders/spirv.inc), which the library
# is built from. glslc 2023.2, of Debian 12, gives the file in the tree; vulkan_shaders_test.sh holds it.
# Without -O: the optimizer unrolls loops and forgets in the copies what `precise` asked for.
cd "$(dirname "$0")" || exit 1
out=${1:-spirv.inc}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
echo "/* spirv.inc: made by shaders/compile.sh from the shaders; not to be edited. */" >"$work/all"
for source in *.comp; do
    name=${source%.comp}
    glslc --target-env=vulkan1.2 -mfmt=num -o "$work/$name" "$source" || exit 1
    spirv=$(printf 'static const uint32_t spirv_%s[] = {' "$name")
    { echo "$spirv"; cat "$work/$name"; echo "};"; } >>"$work/all"
done
cp "$work/all" "$out"
