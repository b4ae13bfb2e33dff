#!/bin/sh
# cli_test.sh BINARY SAMPLES: the program as people and scripts use it: options, exit codes, messages,
# odd files, full disks, closed pipes, signals. Trains a tiny model for it. Prints TAP and the counts.
octet=$(realpath "$1") samples=$(realpath "$2")
[ -x "$octet" ] && [ -f "$samples/tiny.json" ] || {
    echo "usage: cli_test.sh BINARY SAMPLES" >&2
    exit 1
}
. "$(dirname "$0")/cli_case.sh"

holds() { # name, command...: the command succeeds
    name=$1
    shift
    "$@" >/dev/null 2>&1
    verdict "$name" $?
}

wait_for() { # up to 20 s for a condition
    tries=0
    until "$@" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || return 1
        sleep 0.1
    done
}

# --- the program ---------------------------------------------------------------------------------
works "--version" '^octet [0-9]+\.[0-9]+\.[0-9]+$' --version
works "--help lists the commands" '^  generate ' --help
works "-h" '^usage: octet' -h
works "help" '^usage: octet' help
works "help of a command" '^usage: octet score' help score
fails "no command" 1 'needs a command'
fails "unknown command" 1 'unknown command "frobnicate"' frobnicate
fails "misspelt command" 1 'did you mean "train"' trian
fails "an option in place of a command" 1 'unknown command "--json"' --json
fails "empty command" 1 'unknown command' ''
for command in train score generate compress decompress info bench import export; do
    works "$command --help" '^examples:' "$command" --help
    works "$command -h" "^usage: octet $command" "$command" -h
    fails "$command: unknown option" 1 'unknown option --frobnicate' "$command" --frobnicate
    fails "$command: unknown letter" 1 'unknown option -Z' "$command" -Z
    fails "$command: misspelt option" 1 'did you mean --threads' "$command" --thread 1
    fails "$command: a flag with a value" 1 '--json: takes no value' "$command" --json=1
    fails "$command: a flag twice" 1 '--json: given twice' "$command" --json --json
    fails "$command: -q with -v" 1 'exclude each other' "$command" -qv
done
run train --help
cp out help
fails "--help=1" 1 'takes no value' score --help=1
"$octet" --help >/dev/full 2>err
verdict "--help to a full disk" "$(($? != 1))"

# --- a model to work with ------------------------------------------------------------------------
awk 'BEGIN { srand(7); for (i = 0; i < 500; i++) print "line " i " of some text, " int(1000 * rand()) }' >text
tiny="-c $samples/tiny.json --threads 2"
# shellcheck disable=SC2086
run train text $tiny -o run --steps 30 --seed 3
[ "$rc" -eq 0 ] && [ -s run/last.safetensors ] && [ -s run/best.safetensors ] && [ -s run/log.jsonl ]
verdict "train makes a run" $?
holds "its result is one line with the path" grep -Eq '^best [0-9.]+ bits per byte  run/best.safetensors$' out
holds "without a terminal there is no progress" sh -c '! grep -q "$(printf "\r")" err'
holds "validations are remarks" grep -q 'validation [0-9.]* bits per byte' err
# shellcheck disable=SC2086
run train text $tiny -o quiet --steps 30 --seed 3 -q --json
[ "$rc" -eq 0 ] && [ ! -s err ] && [ "$(wc -l <out)" -eq 1 ] &&
    grep -Eq '^\{"finished": true, "steps": 30, .*"best_bpb": [0-9.]+, "best": "quiet/best.safetensors", .*\}$' out
verdict "train -q --json prints one object and nothing else" $?
cmp -s run/last.safetensors quiet/last.safetensors
verdict "equal arguments give equal checkpoints" $?

# --- numbers and words ---------------------------------------------------------------------------
numbers() { # command, option, kind, below, above, good
    fails "$1 $2: missing" 1 "$2: needs a value" "$1" "$2"
    fails "$1 $2: empty" 1 "$2: \"\"" "$1" "$2" ''
    fails "$1 $2: a word" 1 "$2: \"many\"" "$1" "$2" many
    fails "$1 $2: something behind it" 1 "$2: \"$6x\"" "$1" "$2" "$6x"
    [ "$3" = whole ] && fails "$1 $2: not whole" 1 "$2: \"1e1\" is not a whole number" "$1" "$2" 1e1
    [ "$3" = real ] && fails "$1 $2: nan" 1 "$2: \"nan\" is not a number" "$1" "$2" nan
    fails "$1 $2: below" 1 "$2: \"$4\" is not .* from" "$1" "$2" "$4"
    fails "$1 $2: above" 1 "$2: \"$5\" is not .* from" "$1" "$2" "$5"
    fails "$1 $2: twice" 1 "$2: given twice" "$1" "$2" "$6" "$2" "$6"
}
huge=99999999999999999999
numbers train --threads whole 0 257 2
for command in score generate info bench; do
    fails "$command --threads 0" 1 '--threads: "0" is not a whole number from 1 to 256' $command --threads 0
done
numbers train --steps whole 0 $huge 5
numbers train --minutes real 0 inf 5
numbers train --batch whole 0 65537 8
numbers train --lr real 0 1e400 0.001
numbers train --warmup whole -1 $huge 5
numbers train --seed whole -1 $huge 5
numbers train --valid-bytes whole 0 $huge 5
numbers train --valid-every whole 0 $huge 5
numbers score --keep whole -1 $huge 4
numbers generate -n whole -2 $huge 4
numbers generate --temperature real -1 1001 0.5
numbers generate --top-k whole -1 257 40
numbers generate --top-p real -0.1 1.1 0.5
numbers generate --min-p real -0.1 2 0.5
numbers generate --seed whole -1 $huge 5
numbers generate --samples whole 0 4097 2
numbers generate --keep whole -1 $huge 4
fails "train --matmul: none of its words" 1 '--matmul: "open" is none of' train --matmul open
for option in 'train -c' 'train -o' 'score -m' 'score --svg' 'generate -m' 'generate --prompt-file' 'generate -o' \
    'info -m' 'info -c' 'info --preset' 'train --valid' 'train --from' 'bench --configs' 'import -o' 'import --side' 'export -m' 'export -o'; do
    # shellcheck disable=SC2086
    fails "$option: missing" 1 'needs a value' $option
    # shellcheck disable=SC2086
    fails "$option: an option behind it" 1 'needs a value .*found --json' $option --json
    # shellcheck disable=SC2086
    fails "$option: empty" 1 'empty' $option ''
    case $option in *--valid) continue ;; esac
    # shellcheck disable=SC2086
    fails "$option: twice" 1 'given twice' $option a ${option#* } a
done

# --- score ---------------------------------------------------------------------------------------
head -c 1 text >one
: >empty
works "score" '^ +[0-9]+ +[0-9.]+ +[0-9.]+  text$' score -m run text
works "options after operands, joined values" '"files": \[\{"path": "text"' score text --json -mrun --threads=1
json='^\{"bytes": [0-9]+, "bits": [0-9.]+, "bpb": [0-9.]+, "device": "[a-z]+", "files": \[\{"path": "text", "bytes": [0-9]+, "bits": [0-9.]+, "bpb": [0-9.]+\}\]\}$'
works "score --json" "$json" score -m run/best.safetensors text --json
cp out named
"$octet" score -m run - --json <text >out 2>err
sed 's/"-"/"text"/' out | cmp -s - named
verdict "standard input costs what the file costs" $?
works "an empty file has no bits per byte" '"bytes": 0, "bits": 0.0, "bpb": null' score -m run empty --json
works "an empty file in the table" '^ +0 +0.00 +-  empty$' score -m run empty
works "one byte" '^ +1 +[0-9.]+ +[0-9.]+  one$' score -m run one
works "a total of several" '^ +[0-9]+ +[0-9.]+ +[0-9.]+  total$' score -m run text one
fails "no files" 1 'needs at least one FILE' score -m run
fails "missing file" 1 'missing: .*No such file' score -m run missing
fails "a directory" 1 'run: .*irectory' score -m run run
ln -s loop loop
fails "a loop of links" 1 'loop: ' score -m run loop
fails "an empty name" 1 'empty file name' score -m run ''
fails "a name with a line break stays one line" 1 'a.*b: .*No such file' score -m run "$(printf 'a\nb')"
run score -m run missing text --json
[ "$rc" -eq 1 ] && grep -q '"errors": \[{"path": "missing", "error": ".*No such file' out && grep -q '"path": "text"' out
verdict "the others are scored, the code is 1, the JSON whole" $?
mkfifo fifo
cat text >fifo &
works "a FIFO" '  fifo$' score -m run fifo
wait
name=$(printf 'n\377me')
cp text "$name"
works "a name that is not UTF-8" "$(printf '"path": "n\357\277\275me"')" score -m run "$name" --json
cp text -- --json
works "-- ends the options" '  --json$' score -m run -- --json
works "per byte" '^\{"offset": 0, "byte": 108, "bits": [0-9.e-]+\}$' score -m run one --per-byte
run score -m run one text --per-byte
[ "$rc" -eq 0 ] && grep -q '^{"offset": 0, .*, "file": "one"}$' out &&
    [ "$(wc -l <out)" -eq "$(cat one text | wc -c)" ] && ! grep -Evq '^\{"offset": [0-9]+, "byte": [0-9]+, "bits": [0-9.e-]+, "file": "(one|text)"\}$' out
verdict "per byte, several files" $?
"$octet" score -m run text --per-byte 2>/dev/null | awk -F'[:,}]' '{ s += $6 } END { printf "%.3f\n", s }' >a
sed -E 's/.*"bpb": [^,]*, "device".*"bits": ([0-9.]+),.*/\1/' named | awk '{ printf "%.3f\n", $1 }' >b
cmp -s a b
verdict "the bytes' bits add up to the file's" $?
"$octet" score -m run text --per-byte >/dev/full 2>err
[ $? -eq 1 ] && one_line && grep -q 'standard output: No space left' err
verdict "score to a full disk" $?
fails "keep past the context" 1 'keep' score -m run text --keep 100000
fails "an unknown model" 1 'nosuchmodel: ' score -m nosuchmodel text
fails "a missing model" 1 './nosuch.safetensors: ' score -m ./nosuch.safetensors text

# --- score: two grids of patches, positions ------------------------------------------------------
works "score --strided" '^ +[0-9]+ +[0-9.]+ +[0-9.]+  text$' score -m run text --strided
run score -m run text --strided --json
cp out strided
[ "$rc" -eq 0 ] && grep -Eq "$json" out && ! cmp -s out named
verdict "strided costs something else" $?
"$octet" score -m run - --strided --json --threads 1 <text 2>err | sed 's/"-"/"text"/' | cmp -s - strided
verdict "the same from standard input, with one thread" $?
OCTET_CPU=scalar run score -m run text --strided --json
cmp -s out strided
verdict "and with plain C, to the bit" $?
# The bits of a byte come from the plain pass or from one over the file without its first 2 bytes.
"$octet" score -m run text --per-byte >plain.jsonl 2>err
tail -c +3 text | "$octet" score -m run - --per-byte >shifted.jsonl 2>err
"$octet" score -m run text --per-byte --strided >out 2>err
awk -F'[:,}]' 'FILENAME == "plain.jsonl" { plain[$2 + 0] = $6; next }
    FILENAME == "shifted.jsonl" { shifted[$2 + 2] = $6; next }
    { n++; bad += $6 != ($2 % 4 < 2 ? plain[$2 + 0] : shifted[$2 + 0]) }
    END { exit !(n > 10000 && bad == 0) }' plain.jsonl shifted.jsonl out
verdict "strided --per-byte: each byte from the pass where it stands in the first half" $?
for options in '' '--keep 0' '--strided' '--keep 0 --strided'; do
    # shellcheck disable=SC2086
    works "the four protocols of the paper: $options" "$json" score -m run text --json $options
    sed -E 's/.*"bpb": ([^,]*), "device".*/\1/' out >>protocols
done
[ "$(sort -u protocols | wc -l)" -eq 4 ]
verdict "they are four" $?
printf '{"context": 32, "levels": [{"dim": 16, "layers": 1, "heads": 2}]}' >flat.json
run train text -c flat.json -o flat --steps 3 -q
fails "a flat model has no strided scoring" 1 'text: .*one level' score -m flat text --strided
run score -m run text --by-position
[ "$rc" -eq 0 ] && grep -Eq '^ +position +bytes +bpb  in the patch of 4$' out &&
    [ "$(grep -Ec '^ +[0-3] +[0-9]+ +[0-9]\.[0-9]{4}$' out)" -eq 4 ]
verdict "score --by-position" $?
awk '/position/ { on = 1; next } on && NF == 3 { n += $2; s += $2 * $3 } END { printf "%d %.3f\n", n, s / n }' out >a
sed -E 's/^\{"bytes": ([0-9]+), .*"bpb": ([0-9.]+), "device".*/\1 \2/' named | awk '{ printf "%d %.3f\n", $1, $2 }' >b
cmp -s a b
verdict "its bytes and bits are those of the file" $?
run score -m run text one --by-position --json --strided
[ "$rc" -eq 0 ] && grep -Eq '"by_position": \[\{"patch": 4, "bytes": \[([0-9]+, ){3}[0-9]+\], "bpb": \[([0-9.]+, ){3}[0-9.]+\]\}\]\}$' out
verdict "--by-position --json" $?
run score -m run one --by-position --per-byte
[ "$rc" -eq 0 ] && [ "$(wc -l <out)" -eq 2 ] && tail -n 1 out | grep -q '^{"by_position": \[{"patch": 4, "bytes": \[1, 0, .*null' &&
    head -n 1 out | grep -q '^{"offset": 0, '
verdict "with --per-byte they are the last line" $?
run score -m run empty --by-position
[ "$rc" -eq 0 ] && [ "$(grep -Ec '^ +[0-3] +0 +-$' out)" -eq 4 ]
verdict "positions of nothing" $?
works "score --svg" '  text$' score -m run text --svg picture.svg
grep -q '^<svg ' picture.svg && grep -q 'in patches of 4' picture.svg && ! grep -q position out
verdict "a picture, and no table" $?
run score -m run text --svg nowhere/picture.svg
[ "$rc" -eq 1 ] && one_line && grep -q 'nowhere/picture.svg' err
verdict "a picture in a missing directory" $?
run score -m run text --svg /dev/full
[ "$rc" -eq 1 ] && one_line && grep -q '/dev/full' err
verdict "a picture on a full disk" $?
"$octet" score -m run text --by-position >/dev/full 2>err
[ $? -eq 1 ] && one_line && grep -q 'standard output: No space left' err
verdict "positions to a full disk" $?
mkdir void
fails "a directory without a model" 1 'void: ' score -m void text
fails "a text for a model" 3 'text: ' score -m ./text text
head -c 1000 run/best.safetensors >cut
fails "a cut model" 3 'cut: ' score -m ./cut text
: >nothing
fails "an empty model" 3 'nothing: ' score -m ./nothing text
OCTET_THREADS=0 fails "OCTET_THREADS=0" 1 'OCTET_THREADS' score -m run text
OCTET_CPU=8086 fails "OCTET_CPU=8086" 1 'OCTET_CPU.*8086' score -m run text
OCTET_CPU=scalar works "OCTET_CPU=scalar gives the same" "$json" score -m run text --json
cmp -s out named
verdict "to the bit" $?
OCTET_MODELS=$work works "a bundled model's name" "$json" score -m run text --json

# --- generate ------------------------------------------------------------------------------------
generate="generate -m run --seed 5"
# shellcheck disable=SC2086
{
    run $generate -n 40
    [ "$rc" -eq 0 ] && [ "$(wc -c <out)" -eq 40 ] && [ ! -s err ]
    verdict "as many bytes as asked for, and nothing else" $?
    cp out forty
    run $generate -n 40 --threads 1
    cmp -s out forty
    verdict "a seed repeats itself" $?
    run $generate
    [ "$rc" -eq 0 ] && [ "$(wc -c <out)" -eq 512 ] && head -c 40 out | cmp -s - forty
    verdict "512 bytes, the same ones first" $?
    run $generate -n 0
    [ "$rc" -eq 0 ] && [ ! -s out ]
    verdict "no bytes" $?
    run $generate -n 40 --prompt 'line 4'
    cp out prompted
    printf 'line 4' >prompt
    run $generate -n 40 --prompt-file prompt
    cmp -s out prompted
    verdict "a prompt from a file" $?
    printf 'line 4' | "$octet" $generate -n 40 --prompt-file - >out 2>err
    cmp -s out prompted
    verdict "a prompt from standard input" $?
    run $generate -n 40 --prompt-file text
    [ "$rc" -eq 0 ] && [ "$(wc -c <out)" -eq 40 ]
    verdict "a prompt longer than the context" $?
    run $generate -n 40 --prompt=--json
    [ "$rc" -eq 0 ] && [ "$(wc -c <out)" -eq 40 ]
    verdict "a prompt like an option" $?
    fails "both prompts" 1 'exclude each other' $generate --prompt a --prompt-file text
    fails "missing prompt file" 1 'missing: .*No such file' $generate --prompt-file missing
    fails "operands" 1 'word: takes no operands' $generate word
    fails "without end and samples" 1 'without end' $generate -n -1 --samples 2
    run $generate -n 40 --prompt 'line 4' --samples 3
    [ "$rc" -eq 0 ] && [ "$(grep -ac '^--- sample [123] ---$' out)" -eq 3 ] &&
        tail -c +18 out | head -c 40 | cmp -s - prompted
    verdict "samples; the first is what comes alone" $?
    run $generate -n 40 --prompt 'line 4' --samples 2 --json
    hex=$(od -An -v -tx1 prompted | tr -d ' \n')
    [ "$rc" -eq 0 ] && grep -q "^{\"prompt_bytes\": 6, \"samples\": \[{\"sample\": 1, \"seed\": 5, \"bytes\": 40, \"text\": .*, \"hex\": \"$hex\"}, {\"sample\": 2, " out
    verdict "samples as JSON" $?
    run $generate -n 40 --temperature 0 --prompt 'line'
    cp out greedy
    run generate -m run --seed 6 -n 40 --temperature 0 --prompt 'line'
    cmp -s out greedy
    verdict "temperature 0 does not depend on the seed" $?
    run $generate -n 40 --top-k 1 --prompt 'line'
    cmp -s out greedy
    verdict "top-k 1 is temperature 0" $?
    run generate -m run -n 40 -v
    seed=$(sed -n 's/.*--seed \([0-9]*\)$/\1/p' err)
    cp out drawn
    run generate -m run -n 40 --seed "$seed"
    [ -n "$seed" ] && cmp -s out drawn
    verdict "the random seed that -v names repeats the result" $?
    run $generate -n 40 -o file
    [ "$rc" -eq 0 ] && [ ! -s out ] && cmp -s file forty
    verdict "-o FILE" $?
    ln -s file link
    run $generate -n 40 -o link --prompt 'line 4'
    [ "$rc" -eq 0 ] && [ -L link ] && cmp -s file prompted
    verdict "-o through a link keeps the link" $?
    run $generate -n 40 -o -
    cmp -s out forty
    verdict "-o -" $?
    run $generate -n 40 -o /dev/stdout
    cmp -s out forty
    verdict "-o /dev/stdout" $?
    run $generate -n 300 --utf8 --temperature 2
    [ "$rc" -eq 0 ] && [ "$(wc -c <out)" -eq 300 ] && iconv -f UTF-8 -t UTF-8 out >/dev/null
    verdict "--utf8 is UTF-8" $?
    printf 'a\342\202' >begun
    run $generate -n 31 --utf8 --temperature 2 --prompt-file begun
    [ "$rc" -eq 0 ] && cat begun out | iconv -f UTF-8 -t UTF-8 >/dev/null && [ ! -s err ]
    verdict "--utf8 ends the character that the prompt begins" $?
    printf 'a\360' >begun
    run $generate -n 2 --utf8 --prompt-file begun
    [ "$rc" -eq 0 ] && [ ! -s out ] && grep -q "last character lacks 3 bytes, more than 2" err
    verdict "--utf8 writes no part of a character" $?
    printf 'a\377b' >begun
    run $generate -n 9 --utf8 --prompt-file begun --samples 2
    [ "$rc" -eq 0 ] && iconv -f UTF-8 -t UTF-8 out >/dev/null && grep -q "not UTF-8 at byte 1;" err
    verdict "--utf8 says that the prompt is none" $?
    fails "-o in a missing directory" 1 'nowhere/file: No such file' $generate -o nowhere/file
    fails "-o on a directory" 1 'void: Is a directory' $generate -o void
    fails "-o /dev/full" 1 '/dev/full: No space left' $generate -o /dev/full
    "$octet" $generate >/dev/full 2>err
    [ $? -eq 1 ] && one_line && grep -q 'standard output: No space left' err
    verdict "generate to a full disk" $?
    {
        "$octet" $generate -n -1 2>err
        echo $? >rc
    } | head -c 10 >out
    [ "$(cat rc)" -eq 1 ] && grep -q '^octet generate: standard output: Broken pipe$' err && head -c 10 forty | cmp -s - out
    verdict "a closed pipe ends it" $?
    (ulimit -f 4 && exec "$octet" $generate -n 20000 -o large) >out 2>err
    [ $? -eq 1 ] && one_line && [ -z "$(ls large* 2>/dev/null)" ]
    verdict "a file that cannot grow leaves nothing behind" $?
}

# --- info ---------------------------------------------------------------------------------
works "info of a model" '^parameters +[0-9]+$' info -m run
works "info --json of a model" '"parameters": [0-9]+, "context": 128, "levels": 2, "vocabulary": 256, .*"fingerprint": "[0-9a-f]{32}"' info -m run --json
printf '{"context": 64, "endless": true, "levels": [{"dim": 8, "layers": 1, "heads": 1, "window": 4}], "train": {"batch": 1}}' >going.json
run train text -c going.json -o going --steps 1 -q
works "info of an endless model" '^endless +true$' info -m going
works "info --json of one" '"keep": 32, "endless": true, ' info -m going --json
works "info of its configuration" '^endless +true$' info -c going.json
"$octet" info -m run --json >out && grep -q '"endless": false' out && ! "$octet" info -m run | grep -q '^endless'
verdict "other models do not say so" $?
works "info of the machine" '^threads +1$' info --threads 1
works "info --json of the machine" '"device": "[a-z]+", "cpu": "[a-z0-9]+", "threads": 2' info --json --threads 2
mkdir models
cp run/best.safetensors models/text.safetensors
OCTET_MODELS=$work/models works "info lists bundled models" '^bundled models +text  ' info
OCTET_MODELS=$work/models works "the default model is text" '"path": "text"' score text --json
fails "info takes no operands" 1 'run: takes no operands' info run
fails "info of no model" 1 'missing: ' info -m missing

# --- info of configurations ----------------------------------------------------------------------
works "the presets" '^image640 +MegaByte 125M \+ 83M$' info --preset list
presets=$(awk '{ print $1 }' out)
works "the presets as JSON" '^\{"presets": \[\{"name": "text", "about": "[^"]*"\}, .*\}\]\}$' info --preset list --json
for preset in $presets; do
    run info --preset "$preset" --json
    cp out preset.json
    [ "$rc" -eq 0 ] && grep -Eq "^\{\"preset\": \"$preset\", \"parameters\": [0-9]+, \"block_weights\": [0-9]+, .*\"forward_flops\": [0-9.e+]+, .*\"memory\": \{\"run\": \{.*\"train\": \{\"weights\": [0-9]+, .*\"total\": [0-9]+\}\}, \"config\": \{\"context\"" out
    verdict "preset $preset" $?
    "$octet" info --preset "$preset" --write-config >written.json 2>err && "$octet" info -c written.json --json >out 2>>err
    sed 's/"path": "written.json"/"preset": "'"$preset"'"/' out | cmp -s - preset.json
    verdict "its configuration says the same" $?
done
works "info of a preset" '^block weights +931135488$' info --preset text
works "memory of both uses" '^  caches +[0-9.]+ [kMG]B +-$' info --preset text
"$octet" info -c - <written.json >out 2>err
verdict "a configuration from standard input" $?
works "info of a configuration" '^parameters +[0-9]+$' info -c "$samples/tiny.json"
a=$(sed -n 's/^parameters  *//p' out)
run info -m run
[ "$(sed -n 's/^parameters  *//p' out)" = "$a" ]
verdict "as many parameters as the model made of it" $?
fails "no such preset" 1 '--preset: "nonsense" is none' info --preset nonsense
fails "a misspelt preset" 1 'did you mean "audio"' info --preset audoi
fails "a missing configuration" 1 'missing: .*No such file' info -c missing
fails "a configuration that is none" 1 'text:1:' info -c text
printf '{"context": 8\000}' >zero.json
fails "a configuration with a byte of 0" 1 'zero.json: ' info -c zero.json
fails "preset and model" 1 'exclude each other' info --preset text -m run
fails "preset and configuration" 1 'exclude each other' info --preset text -c "$samples/tiny.json"
fails "--write-config of a model" 1 '--write-config: needs a --preset' info -m run --write-config
printf '{"context": 16777216, "levels": [{"dim": 64, "layers": 1, "heads": 1}], "train": {"batch": 65536}}' >large.json
fails "a batch that cannot be" 1 'large.json: .*batch: ' info -c large.json
"$octet" info --preset text >/dev/full 2>err
[ $? -eq 1 ] && one_line && grep -q 'standard output: No space left' err
verdict "info to a full disk" $?

# --- bench ---------------------------------------------------------------------------------------
fails "bench: no configurations" 1 '.' bench --configs void generate.a
run bench nosuchname --configs "$samples" --json
[ "$rc" -eq 1 ] && [ "$(cat out)" = "[]" ] && grep -q 'nosuchname: no benchmark' err
verdict "bench: an unknown name" $?
works "bench of a configuration" '^generate.last +[0-9.e+]+ +bytes/s' bench -c "$samples/tiny.json"
works "bench --json of a configuration" '"name": "train", "value": [0-9.e+]+, "unit": "bytes/s"' bench -c "$samples/tiny.json" train --json
fails "bench of no configuration" 1 'missing: .*No such file' bench -c missing
fails "bench of a wrong configuration" 1 'text' bench -c text

# --- train: bad arguments, stopping, going on ----------------------------------------------------
# shellcheck disable=SC2086
{
    fails "no data" 1 'needs at least one' train $tiny -o new
    fails "no directory" 1 'needs -o' train text $tiny
    fails "no configuration" 1 'needs -c' train text -o new
    fails "steps and minutes" 1 'exclude each other' train text $tiny -o new --steps 5 --minutes 1
    fails "missing data" 1 'missing: .*No such file' train missing $tiny -o new
    fails "missing validation data" 1 'missing: .*No such file' train text $tiny -o new --valid missing
    fails "missing configuration" 1 'missing: .*No such file' train text -c missing -o new
    fails "a configuration that is none" 1 'text:' train text -c text -o new
    fails "a rate that no checkpoint can state" 1 'options: train.lr: 40 is outside 0 to 10' train text $tiny -o new --lr 100
    fails "empty data" 1 '.' train empty $tiny -o new
    fails "data shorter than a patch" 1 '.' train one $tiny -o short
    fails "a run that is there already" 1 'run/last.safetensors: .*--resume' train text $tiny -o run
    fails "a file for a directory" 1 'text' train text $tiny -o text/new
    [ ! -e new ] && [ ! -e short ]
    verdict "none of these made a directory" $?
    run train text $tiny -o new --resume --steps 10
    [ "$rc" -eq 0 ] && grep -q 'no checkpoint' err && [ -s new/last.safetensors ]
    verdict "--resume without a checkpoint starts at 0 and says so" $?
    cp new/last.safetensors before
    run train text $tiny -o new --resume --steps 10
    [ "$rc" -eq 0 ] && cmp -s before new/last.safetensors
    verdict "--resume of a finished run changes nothing" $?
    mkdir more
    cp text more/a
    works "a directory of data, own validation data" '^best ' train more $tiny -o valid --steps 5 --valid text --valid one \
        --valid-every 2 --valid-bytes 500 --warmup 1 --lr 0.01 --batch 4
    (exec "$octet" train text $tiny -o closed --steps 5 <&- >&- 2>&-)
    [ $? -eq 1 ] && "$octet" score -m closed one >out 2>err
    verdict "with closed descriptors the run is whole, the lost result an error" $?
    "$octet" train text $tiny -o quiet2 --steps 5 <&- 2>&- >out
    [ $? -eq 0 ] && [ "$(wc -l <out)" -eq 1 ]
    verdict "without standard input and error" $?
    "$octet" score - -m run <&- >out 2>err
    [ $? -eq 1 ] && one_line && grep -q 'standard input: ' err
    verdict "closed standard input" $?

    train_until() { # signal, directory, arguments: signals once a few steps are done; $rc is the exit code
        signal=$1 dir=$2
        shift 2
        "$octet" train text $tiny -o "$dir" --steps 100000 --valid-every 1000000 --json "$@" >out 2>err &
        child=$!
        wait_for test -s "$dir/log.jsonl"
        kill "-$signal" $child
        wait $child
        rc=$?
        child=
    }
    train_until INT stopped
    step=$(sed -n 's/.*"finished": false, "steps": \([0-9]*\),.*/\1/p' out)
    [ "$rc" -eq 130 ] && [ "${step:-0}" -gt 0 ] && [ -s stopped/last.safetensors ]
    verdict "SIGINT saves and exits with 130" $?
    rm -f stopped/log.jsonl
    train_until TERM stopped --resume
    further=$(sed -n 's/.*"finished": false, "steps": \([0-9]*\),.*/\1/p' out)
    [ "$rc" -eq 143 ] && [ "${further:-0}" -gt "${step:-0}" ] && grep -q "going on at step $step " err
    verdict "--resume goes on there; SIGTERM saves and exits with 143" $?
    works "the stopped run is a model" '"parameters"' info -m stopped --json
    (ulimit -f 16 && exec "$octet" train text $tiny -o stopped --steps 100000 --resume -q) >out 2>err &
    child=$!
    sleep 1
    kill -INT $child
    wait $child
    rc=$?
    child=
    [ "$rc" -eq 1 ] && grep -q 'last.safetensors' err
    verdict "a full disk: the run ends with an error" $?
    works "its old checkpoint is whole" '"parameters"' info -m stopped --json
}

# --- signals elsewhere ---------------------------------------------------------------------------
"$octet" generate -m run -n -1 -o endless >out 2>err &
child=$!
sleep 0.7
kill -INT $child
wait $child
rc=$?
child=
[ "$rc" -eq 130 ] && [ -s endless ]
verdict "an endless file ends with SIGINT and is kept" $?
"$octet" generate -m run -n 1000000000 -o part >out 2>err &
child=$!
sleep 0.5
kill -TERM $child
wait $child
rc=$?
child=
[ "$rc" -eq 143 ] && [ -z "$(ls part* 2>/dev/null)" ]
verdict "a file that is not whole is not kept" $?
head -c 100000000 /dev/zero >zeros
"$octet" score -m run zeros >out 2>err &
child=$!
sleep 0.5
kill -TERM $child
wait $child
rc=$?
child=
[ "$rc" -eq 143 ] && [ ! -s out ]
verdict "SIGTERM stops scoring" $?
rm zeros
mkfifo silent
sleep 20 >silent &
writer=$!
"$octet" score -m run silent >out 2>err &
child=$!
sleep 0.5
kill -INT $child
wait $child
rc=$?
child=
kill $writer
[ "$rc" -eq 130 ]
verdict "SIGINT ends the wait for input" $?

# --- import, export ------------------------------------------------------------------------------
data=$samples/../tests/data/import
mb1=$data/megabyte-pytorch/mb1
fails "import: no operands" 1 'needs a FORMAT and a CKPT' import -o imported
fails "import: no output" 1 'needs -o' import megabyte-pytorch "$mb1/model.safetensors"
fails "import: no such format" 1 'format "megabyte" is none of megabyte-pytorch, mblm, bgpt, notagen' import megabyte "$mb1/model.safetensors" -o imported
fails "import: no such file" 1 'nosuch: ' import megabyte-pytorch nosuch -o imported
fails "import: what is missing" 1 'not in the file: --set heads=N .*; --set max_seq_len=N' import megabyte-pytorch "$mb1/model.safetensors" -o imported
fails "import: a contradiction" 1 'setting dim: 17 is given, the file has \[16\]' import megabyte-pytorch "$mb1/model.safetensors" -o imported --set dim=17
fails "import: no setting" 1 'setting head is none of ' import megabyte-pytorch "$mb1/model.safetensors" -o imported --set head=2
fails "import: another format's file" 3 'is this a file of bgpt' import bgpt "$mb1/model.safetensors" -o imported
fails "import: a text" 3 'text: ' import megabyte-pytorch ./text -o imported
fails "import: a missing side file" 1 'nosuch.json: ' import megabyte-pytorch "$mb1/model.safetensors" -o imported --side nosuch.json
fails "import: --list with operands" 1 'takes no operands' import --list bgpt
[ ! -e imported ]
verdict "none of them left a file" $?
works "import" '^14848 parameters, context 24 bytes  imported$' import megabyte-pytorch "$mb1/model.safetensors" -o imported --set heads=2 --set max_seq_len=24
works "import --side" '^14848 parameters' import megabyte-pytorch "$mb1/model.safetensors" -o sided --side "$mb1/case.json"
cmp -s imported sided
verdict "settings and side file say the same" $?
works "train --from an imported model" '^best ' train text --from imported -o trained --steps 2 --lr 0.001
run score -m imported text -q
mv out before
run score -m trained text -q
[ "$rc" -eq 0 ] && ! cmp -s out before
verdict "training changed it" $?
fails "train --from: the weights of another configuration" 4 'imported: tensor .* has no place in the configuration' train text --from imported $tiny -o other
fails "train --from: no such model" 1 'nosuch: no such file, and no bundled model' train text --from nosuch -o other
fails "train --from: not a model" 3 'text' train text --from ./text -o other
[ ! -e other ]
verdict "none of these made a directory" $?
works "import --json" '^\{"model": "sided", "parameters": 14848, "context": 24, "fingerprint": "[0-9a-f]{32}", "config": \{.*"layout": "lucidrains"' import megabyte-pytorch "$mb1/model.safetensors" -o sided --side "$mb1/case.json" --json
works "import --list" '^megabyte-pytorch +MEGABYTE-pytorch' import --list
works "import --list --json" '^\{"formats": \[\{"name": "megabyte-pytorch", ' import --list --json
run import mblm "$data/mblm/two-rope/weights.pth" -o mblm --side "$data/mblm/two-rope/case.json" -v
[ "$rc" -eq 0 ] && grep -q 'stage_models.1.rotary_emb.inv_freq: skipped, ' err && grep -q '^26288 parameters' out
verdict "import of a .pth, -v tells what is skipped" $?
works "an imported model scores" '  one$' score -m ./imported one
works "and generates" . generate -m ./imported -n 40 --seed 1
fails "import to a full disk" 1 '/dev/full' import megabyte-pytorch "$mb1/model.safetensors" -o /dev/full --side "$mb1/case.json"
fails "export: no model" 1 'needs -m' export --to megabyte-pytorch -o exported
fails "export: no format" 1 'needs --to' export -m ./imported -o exported
fails "export: no output" 1 'needs -o' export -m ./imported --to megabyte-pytorch
fails "export: no such format" 1 '"bgpt" is none of' export -m ./imported --to bgpt -o exported
fails "export: a model of ours" 1 'layout is "paper", megabyte-pytorch has "lucidrains"' export -m run --to megabyte-pytorch -o exported
[ ! -e exported ]
verdict "none of them left a file" $?
works "export" '^\{"num_tokens": 256, "dim": \[16\], "depth": \[2\], "max_seq_len": \[24\], ' export -m ./imported --to megabyte-pytorch -o exported
cp out side.json
works "import of an export" '^14848 parameters' import megabyte-pytorch exported -o again --side side.json
cmp -s imported again
verdict "gives the same file" $?
# --- compress ------------------------------------------------------------------------------------
head -c 3000 text >book
touch -d '2001-02-03 04:05:06' book
chmod 640 book
cp -p book kept
silent "compress" compress -m run book
[ -s book.oct ] && [ "$(stat -c '%a %Y' book.oct)" = "$(stat -c '%a %Y' book)" ]
verdict "compress keeps source, mode and time" $?
fails "nothing is overwritten" 1 'book.oct: the file exists' compress -m run book
silent "but with -f" compress -m run -f book
works "--list" "^ *$(stat -c %s book.oct) +3000 .* book.oct\$" compress -l book.oct
works "--list --json" '"bytes": *3000' decompress -l --json book.oct
silent "--test" decompress -t -m run book.oct
fails "the other way asks too" 1 'book: the file exists' decompress -m run book.oct
rm book
silent "decompress" decompress -m run -T 3 book.oct
cmp -s book kept && [ "$(stat -c '%a %Y' book)" = "$(stat -c '%a %Y' kept)" ]
verdict "the same bytes, mode and time" $?
works "-d is decompress, -c standard output" '^line 0 of some text' compress -d -c -m run book.oct
cmp -s out kept
verdict "on standard output too" $?
"$octet" compress -m run <kept 2>err | "$octet" decompress -m run >out 2>>err
cmp -s out kept && [ ! -s err ]
verdict "from pipe to pipe" $?
(cat kept; sleep 0.2; cat kept) | "$octet" compress -m run --block 1024 --streams 2 - >slow 2>err
[ "$("$octet" decompress -m run <slow | sha256sum)" = "$(cat kept kept | sha256sum)" ]
verdict "a slow pipe in small blocks" $?
: >nothing
silent "an empty file" compress -m run nothing -o nothing.oct
silent "comes back empty" decompress -f -m run nothing.oct
[ -f nothing ] && [ ! -s nothing ]
verdict "and is there" $?
works "info names the profiles" '^profiles +f32, int8$' info
works "info --json too" '"profiles": \["f32", "int8"\]' info --json
silent "compress --profile int8" compress -m run --profile int8 kept -o int8.oct
works "says so" '"profile": *"int8"' compress -l --json int8.oct
OCTET_CPU=scalar silent "and comes back elsewhere" decompress -m run --threads 5 int8.oct -o int8
cmp -s int8 kept
verdict "as it was" $?
fails "a file says its profile itself" 1 '--profile is for compressing' decompress -m run --profile int8 int8.oct -o x
fails "no such profile" 1 'profile' score -m run text --profile int4
run score -m run text --profile int8 --json
cp out rounded
run score -m run text --json
! cmp -s out rounded
verdict "int8 is another arithmetic" $?
works "generate --profile int8" . generate -m run -n 40 --seed 1 --profile int8
fails "two files, one output" 1 '-o goes with one FILE only' compress -m run book kept -o both.oct
fails "a suffix twice" 1 'ends with .oct already' compress -m run book.oct
fails "no suffix" 1 'does not end with .oct' decompress -m run kept
fails "not compressed" 3 'kept: this is no compressed file' decompress -m run kept -o back
fails "too short" 3 'standard input: 0 bytes are too few' decompress -m run -c
fails "no file" 1 'nowhere: No such file' compress -m run nowhere
fails "a folder" 1 'run: Is a directory' compress -m run run
fails "another model" 4 'compressed with the model [0-9a-f]{32}, this model is [0-9a-f]{32}' decompress -m ./imported book.oct -o back
cp book.oct bad.oct
printf 'x' | dd of=bad.oct bs=1 seek=200 conv=notrunc 2>/dev/null
fails "a damaged file" 3 'bad.oct: block 0 \(bytes 0 to 2999 of the content\) is damaged' decompress -m run bad.oct
head -c 300 book.oct >short.oct
fails "a cut file" 3 'short.oct: the file ends at byte 300' decompress -m run short.oct
[ ! -e bad ] && [ ! -e short ] && [ ! -e back ] && [ -z "$(ls ./*.tmp.* 2>/dev/null)" ]
verdict "failures leave nothing" $?
silent "--rm" compress --rm -f -m run book
[ ! -e book ] && [ -s book.oct ]
verdict "the source goes with --rm only" $?
fails "--rm and -k" 1 'goes with none of' compress --rm -k -m run kept
if [ -w /dev/full ]; then
    fails "a full disk" 1 '/dev/full: No space left' compress -f -m run kept -o /dev/full
    cp kept full
    (ulimit -f 1 && exec "$octet" compress --rm -m run full) >out 2>err
    rc=$?
    [ "$rc" -eq 1 ] && one_line && cmp -s full kept && [ ! -e full.oct ]
    verdict "--rm on a full disk removes nothing" $?
fi
head -c 20000000 /dev/zero >zeros
"$octet" compress --rm -m run zeros >out 2>err &
child=$!
sleep 0.5
kill -TERM $child
wait $child
rc=$?
child=
[ "$rc" -eq 143 ] && [ "$(stat -c %s zeros)" -eq 20000000 ] && [ -z "$(ls zeros.oct* 2>/dev/null)" ]
verdict "SIGTERM leaves the source alone" $?
rm zeros

# --- a terminal ----------------------------------------------------------------------------------
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    script -qec "'$octet' train text $tiny -o tty --steps 20 --valid-every 10" /dev/null </dev/null >out
    grep -q "$(printf '\r')step [0-9]*/20  [0-9.]* bpb" out
    verdict "progress on a terminal" $?
    # shellcheck disable=SC2086
    script -qec "'$octet' train text $tiny -o tty2 --steps 20 -q" /dev/null </dev/null >out
    ! grep -q 'step ' out
    verdict "no progress with -q" $?
    # shellcheck disable=SC2086
    script -qec "COLUMNS=1 '$octet' train text $tiny -o tty3 --steps 20 --valid-every 1000" /dev/null </dev/null >out
    ! grep -q 'bpb' out && grep -q '^best' out
    verdict "progress in one column" $?
    script -qec "'$octet' generate -m run -n 600 --temperature 100 --seed 1" /dev/null </dev/null >out
    tr -d '\r\n\t' <out | grep -aq '\\x' && [ "$(tr -d '\r\n\t\040-\176\200-\377' <out | wc -c)" -eq 0 ]
    verdict "control bytes do not reach a terminal" $?
fi

ends
