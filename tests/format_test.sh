#!/bin/sh
# Every C file is as clang-format leaves it. Prints TAP.
cd "$(dirname "$0")/.." || exit 1
n=0 failed=0
for file in $(find src include tests bench samples \( -name '*.c' -o -name '*.h' -o -name '*.inc' \) | sort); do
    n=$((n + 1))
    if clang-format --style=file "$file" | cmp -s - "$file"; then
        echo "ok $n - $file"
    else
        echo "not ok $n - $file"
        failed=1
    fi
done
echo "1..$n"
exit $failed
