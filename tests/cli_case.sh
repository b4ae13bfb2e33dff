# cli_case.sh: what the tests of the program share; they set $octet, then source it, which leaves them in an empty
# folder $work that goes with them. The result of run, fails and works lies in $rc, out and err.
unset OCTET_THREADS OCTET_CPU OCTET_MODELS COLUMNS
LC_ALL=C
export LC_ALL
work=$(mktemp -d) || exit 1
child=
trap '[ -z "$child" ] || kill -KILL "$child" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1

passed=0 failed=0
verdict() { # name, 0 if it holds
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok $((passed + failed)) - $1"
    else
        failed=$((failed + 1))
        echo "not ok $((passed + failed)) - $1"
        head -c 400 out 2>/dev/null | tr -c '[:print:]\n' '?' | awk '{ print "# out: " $0 }'
        head -c 2000 err 2>/dev/null | tr -c '[:print:]\n' '?' | awk '{ print "# err: " $0 }'
    fi
}

run() {
    "$octet" "$@" >out 2>err </dev/null
    rc=$?
}

one_line() { [ "$(wc -l <err)" -eq 1 ]; }

fails() { # name, exit code, regular expression of the message, arguments: one line, no result, no file new*
    name=$1 code=$2 message=$3
    shift 3
    rm -rf new*
    run "$@"
    [ "$rc" -eq "$code" ] && one_line && grep -Eq -- "^octet( [a-z]+)?: .*$message" err && [ ! -s out ] &&
        ! ls new* >/dev/null 2>&1
    verdict "$name" $?
}

works() { # name, regular expression of the output, arguments: exit code 0
    name=$1 result=$2
    shift 2
    run "$@"
    [ "$rc" -eq 0 ] && grep -Eq -- "$result" out
    verdict "$name" $?
}

silent() { # name, arguments: exit code 0 and nothing said
    name=$1
    shift
    run "$@"
    [ "$rc" -eq 0 ] && [ ! -s out ] && [ ! -s err ]
    verdict "$name" $?
}

ends() { # the plan and the counts; fails when something did
    echo "1..$((passed + failed))"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
