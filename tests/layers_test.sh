#!/bin/sh
# Dependencies go one way: a file of src/X includes only from the folders that X may know. Prints TAP.
cd "$(dirname "$0")/.." || exit 1
n=0 failed=0
allow() { # folder, folders that it may include from
    folder=$1
    shift
    n=$((n + 1))
    bad=$(grep -rnE '^#include "[a-z]+/' "src/$folder" | while IFS=: read -r file line text; do
        from=$(printf '%s' "$text" | sed -E 's/^#include "([a-z]+)\/.*/\1/')
        case " $folder octet $* " in
            *" $from "*) ;;
            *) printf '#   %s:%s includes from %s\n' "$file" "$line" "$from" ;;
        esac
    done)
    if [ -z "$bad" ]; then
        echo "ok $n - src/$folder"
    else
        echo "not ok $n - src/$folder"
        echo "$bad"
        failed=1
    fi
}
allow base
allow codec base
allow coder base
allow plot base
allow graph base
allow cpu graph base
allow vulkan graph base
allow nn graph base
allow mixer nn graph base
allow patch mixer nn graph base
allow global patch mixer nn graph base
allow local patch mixer nn graph base
allow model global local patch mixer nn graph base
allow infer model global local patch mixer nn graph base
allow eval infer model global local patch mixer nn graph base
allow train eval infer model global local patch mixer nn graph base
allow api codec coder plot train eval infer model global local patch mixer nn cpu vulkan graph base
n=$((n + 1))
bad=$(grep -nE '^#include "' src/cli/*.[ch] | grep -vE '"(octet|cli)/')
if [ -z "$bad" ]; then
    echo "ok $n - src/cli includes only the public headers"
else
    echo "not ok $n - src/cli includes only the public headers"
    echo "$bad" | sed 's/^/#   /'
    failed=1
fi
n=$((n + 1))
doubles=$(find src include tests bench -name '*.[ch]' | sed 's/.*\///' | sort | uniq -d)
case "$doubles" in
    "") echo "ok $n - file names are unique" ;;
    *)
        echo "not ok $n - file names are unique"
        echo "$doubles" | sed 's/^/#   /'
        failed=1
        ;;
esac
echo "1..$n"
exit $failed
