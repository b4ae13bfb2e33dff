# vulkan_case.sh: what the tests of Vulkan share: an empty folder $work that goes with them, $n results so far, and
# whether one $failed.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
n=0 failed=0
result() { # 0 or 1, name, file that says why
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=1
        [ -n "$3" ] && tail -n 20 "$3" | sed 's/^/#   /'
    fi
}
