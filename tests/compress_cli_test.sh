#!/bin/sh
# compress_cli_test.sh BINARY: compressed files of this and earlier versions, audio, ranges, damage, limits of
# memory, and what is left behind when the program dies. OCTET_TEST_ALL: the long form. Prints TAP.
#
# tests/data/oct holds tiny models and files made with them, and golden.txt for each file its model, the digest of
# its content and the options that it was made with, or "earlier" where they now make another one. They are decoded
# for ever: files are added, never changed.
octet=$(realpath "$1")
data=$(cd "$(dirname "$0")" && pwd)/data/oct
[ -x "$octet" ] && [ -f "$data/golden.txt" ] || {
    echo "usage: compress_cli_test.sh BINARY" >&2
    exit 1
}
. "$(dirname "$0")/cli_case.sh"
export OCTET_MODELS=/nowhere

quietly() { # name, arguments: exit code 0 and nothing but the result
    name=$1
    shift
    run "$@"
    [ "$rc" -eq 0 ] && [ ! -s err ]
    verdict "$name" $?
}
same() { # name, file, file
    cmp -s "$2" "$3"
    verdict "$1" $?
}
digest() { sha256sum | cut -d ' ' -f 1; }
text="-m $data/text.safetensors" pcm="-m $data/pcm16.safetensors"

# --- files of earlier versions, on every instruction set; and the same files again
while read -r file model sum options; do
    ok=0
    for cpu in amx avx2 scalar; do
        for how in "--threads 1" "--threads 5 --streams 1" "--threads 2 --streams 3"; do
            export OCTET_CPU=$cpu
            # shellcheck disable=SC2086
            [ "$("$octet" decompress $how -m "$data/$model.safetensors" -c "$data/$file.oct" 2>err | digest)" = "$sum" ] || ok=1
        done
    done
    unset OCTET_CPU
    verdict "golden $file, restored 9 ways" $ok
    "$octet" decompress -m "$data/$model.safetensors" "$data/$file.oct" -o "$file"
    [ "$options" != earlier ] || continue
    # shellcheck disable=SC2086
    OCTET_CPU=scalar "$octet" compress --threads 3 $options -m "$data/$model.safetensors" -c "$file" >again 2>err
    same "golden $file, made again" again "$data/$file.oct"
done <"$data/golden.txt"

# --- ranges
for range in 0:1 0:15621 4095:4097 4096:8192 9000:12500 15620:15621 777:; do
    from=${range%:*} to=${range#*:}
    tail -c +$((from + 1)) kinds | head -c $((${to:-15621} - from)) >wanted
    # shellcheck disable=SC2086
    "$octet" decompress $text --range $range "$data/kinds.oct" >file 2>err
    # shellcheck disable=SC2086
    "$octet" decompress $text --range $range <"$data/kinds.oct" >redirected 2>>err
    # shellcheck disable=SC2086
    cat "$data/kinds.oct" | "$octet" decompress $text --range $range >piped 2>>err
    cmp -s file wanted && cmp -s piped wanted && cmp -s redirected wanted && [ ! -s err ]
    verdict "range $range" $?
done
# shellcheck disable=SC2086
{
fails "a range past the end" 1 'bytes up to 15622 are wanted, the content has 15621' decompress $text --range 5:15622 "$data/kinds.oct"
fails "a range backwards" 1 'is not A:B with A below B' decompress $text --range 5:5 "$data/kinds.oct"
fails "a range of words" 1 'is not A:B' decompress $text --range a:b "$data/kinds.oct"
fails "a range when compressing" 1 'are for restoring' compress $text --range 1:2 kinds
quietly "a range to a file" decompress $text --range 10:20 -o part "$data/kinds.oct"
[ "$(wc -c <part)" -eq 10 ]
verdict "holds the range" $?
}

# --- damage: block 1 of four begins after the header and block 0
position=$("$octet" compress -l --json "$data/kinds.oct" >/dev/null && od -An -tu4 -j 76 -N 4 "$data/kinds.oct" | tr -d ' ')
position=$((64 + 64 + position))
cp "$data/kinds.oct" bad.oct
printf 'x' | dd of=bad.oct bs=1 seek=$((position + 200)) conv=notrunc 2>/dev/null
# shellcheck disable=SC2086
{
: >none.oct
head -c 40 "$data/kinds.oct" >cut.oct
printf 'not compressed, and longer than a header of 64 bytes is, so that all of it is there' >other.oct
for model in "" "$text"; do
    # shellcheck disable=SC2086
    for what in -c -t; do
        fails "an empty file, $what $model" 3 'none.oct: 0 bytes are too few' decompress $what $model none.oct
        fails "a part of a header, $what $model" 3 'cut.oct: 40 bytes are too few' decompress $what $model cut.oct
        fails "another kind of file, $what $model" 3 'other.oct: ' decompress $what $model other.oct
    done
done
fails "a damaged block" 3 'block 1 \(bytes 4096 to 8191 of the content\) is damaged' decompress $text bad.oct
[ ! -e bad ]
verdict "leaves nothing" $?
run decompress $text -c --range 8192: bad.oct
tail -c +8193 kinds >wanted
[ "$rc" -eq 0 ] && cmp -s out wanted
verdict "a range past the damage" $?
}
(head -c 4096 kinds; head -c 4096 /dev/zero; tail -c +8193 kinds) >wanted
recovers() { # name, what is said of the loss, file to recover: from a file and from a pipe
    # shellcheck disable=SC2086
    "$octet" decompress $text --recover -c "$3" >out 2>err
    rc=$?
    # shellcheck disable=SC2086
    cat "$3" | "$octet" decompress $text --recover >piped 2>err2
    rc2=$?
    [ "$rc" -eq 2 ] && [ "$rc2" -eq 2 ] && grep -Eq "$2" err && cmp -s out wanted && cmp -s piped wanted
    verdict "$1" $?
}
recovers "recover: bits" 'bytes 4096 to 8191 of the content are lost: ' bad.oct
cp "$data/kinds.oct" bad.oct
printf 'x' | dd of=bad.oct bs=1 seek=$((position + 20)) conv=notrunc 2>/dev/null
recovers "recover: a block's header" 'bytes 4096 to 8191 of the content are lost: ' bad.oct
(head -c $((position + 200)) "$data/kinds.oct"; tail -c +$((position + 202)) "$data/kinds.oct") >bad.oct
recovers "recover: a byte gone" 'bytes 4096 to 8191 of the content are lost: ' bad.oct
(head -c $((position + 200)) "$data/kinds.oct"; echo more; tail -c +$((position + 201)) "$data/kinds.oct") >bad.oct
recovers "recover: bytes more" 'bytes 4096 to 8191 of the content are lost: ' bad.oct
head -c $((position + 300)) "$data/kinds.oct" >bad.oct
(head -c 4096 kinds; head -c 4096 /dev/zero) >wanted
recovers "recover: the end gone" 'the file has no end' bad.oct
# shellcheck disable=SC2086
run decompress $text --recover "$data/kinds.oct" -o whole
[ "$rc" -eq 0 ] && cmp -s whole kinds
verdict "recover: nothing is damaged" $?

# --- audio
# shellcheck disable=SC2086
{
quietly "WAV by its samples" compress $pcm --plain odd.wav -o w.oct
quietly "WAV as bytes" compress $pcm --plain --codec raw odd.wav -o raw.oct
[ "$(wc -c <w.oct)" -lt 5000 ] && [ "$(wc -c <raw.oct)" -gt 7000 ]
verdict "samples make it smaller" $?
quietly "comes back" decompress $pcm w.oct -o back.wav
same "as the identical file" back.wav odd.wav
quietly "WAV through a pipe" compress $pcm --plain -c odd.wav
same "the same coded bytes" out w.oct
"$octet" encode odd.wav -o samples.pcm16 >/dev/null 2>err && "$octet" decode samples.pcm16 -o clip.flac >/dev/null 2>err
fails "FLAC" 0 'coded as it is; --samples' compress $pcm clip.flac
fails "FLAC by its samples" 0 'its audio is kept, as WAV' compress $pcm --samples clip.flac
quietly "comes back" decompress $pcm clip.wav.oct
"$octet" encode clip.wav -o samples2.pcm16 2>err >/dev/null
same "as its audio" samples.pcm16 samples2.pcm16
fails "samples for a text model" 1 'reads bytes, not samples' compress $text --samples clip.flac -o x.oct
fails "samples that do not fit" 0 'odd.wav: coded as bytes: the model reads bytes' compress $text --codec audio odd.wav -o x.oct
quietly "come back" decompress $text x.oct -o x
same "too" x odd.wav
}

# --- bundled models: by the file's kind, and by the fingerprint
mkdir models && cp "$data/text.safetensors" models/text.safetensors && cp "$data/pcm16.safetensors" models/speech.safetensors
export OCTET_MODELS=$work/models
quietly "text finds its model" compress --profile f32 kinds -o m.oct --streams 5 --block 4096
same "as -m would" m.oct "$data/kinds-2.oct"
quietly "WAV finds its model" compress odd.wav -o w2.oct
quietly "both find the way back" decompress -c m.oct w2.oct
cat kinds odd.wav | cmp -s - out
verdict "to the same bytes" $?
run compress -l --json m.oct
grep -Eq '"ratio": 1.73.*"ratio_with_model": 0.[0-9]+.*"model_bytes": 41832' out
verdict "-l counts the model" $?
rm models/speech.safetensors
fails "another bundled model" 4 'with the model 2232[0-9a-f]{28}, no bundled one \(text is bf17[0-9a-f]{28}' decompress -c w2.oct
export OCTET_MODELS=/nowhere

# --- memory
# shellcheck disable=SC2086
{
fails "too little memory to code" 1 'coding needs [0-9.]+ MB, 0.5 MB are allowed' compress $text --memory 500K kinds -o x2.oct
fails "too little to restore" 1 'one stream at once [0-9.]+ MB, 0.1 MB are allowed' decompress $text --memory 100K -c "$data/plain.oct"
run decompress $text --memory 1G -v -c "$data/plain.oct"
[ "$rc" -eq 0 ] && grep -q '5 streams at once, [0-9.]* MB of memory' err && cmp -s out kinds
verdict "enough, and stated" $?
need=$(($(sed -nE 's/.*5 streams at once, 0*([0-9]*)\.([0-9]).*/\1\2/p' err) - 1))00 # rounding may have gone up
fails "all at once need too much" 1 'at once needs .* allowed: [12] at once need' decompress $text --memory ${need}K -c "$data/plain.oct" --streams 5
quietly "fewer do not" decompress $text --memory ${need}K -c "$data/plain.oct" --streams 1
same "and give the same" out kinds
fails "mixed streams are read together" 1 'decoding its 5 streams needs [0-9.]+ MB, [0-9.]+ MB are allowed: made with fewer' decompress $text --memory ${need}K -c "$data/kinds.oct" --streams 1
fails "and not too many" 1 '300 streams: 1 to 256 are possible together' compress $text --streams 300 -c kinds
fails "a memory of words" 1 'is not a size such as 300M' compress $text --memory much kinds
fails "more than is allowed" 1 'more bytes than the 10000 that are allowed' decompress $text --max-output 10K -c "$data/short.oct" "$data/kinds.oct" -t
}

# --- what is left behind
for i in 1 2 3 4 5; do cat kinds kinds kinds kinds kinds; done >long
chmod 600 long
cp -p long kept
# shellcheck disable=SC2086
"$octet" compress $text --block 16384 -c long >kept.oct 2>err
kills=$([ -n "$OCTET_TEST_ALL" ] && echo 100 || echo 4)
intact=0 i=0 cut=0
while [ $i -lt "$kills" ]; do
    cp -p kept long && cp kept.oct back.oct && chmod 600 back.oct && rm -f long.oct back
    if [ $((i % 2)) -eq 0 ]; then
        # shellcheck disable=SC2086
        "$octet" compress $text --block 16384 --rm long >out 2>err &
    else
        # shellcheck disable=SC2086
        "$octet" decompress $text --rm back.oct >out 2>err &
    fi
    child=$!
    sleep 0.$((i * 7 % 10))$((i * 3 % 10))
    kill -KILL $child 2>/dev/null && cut=$((cut + 1))
    wait $child 2>/dev/null
    child=
    # the source is whole, or its successor is
    { cmp -s long kept || cmp -s long.oct kept.oct; } && { [ ! -e long.oct ] || cmp -s long.oct kept.oct; } &&
        { cmp -s back.oct kept.oct || cmp -s back kept; } && { [ ! -e back ] || cmp -s back kept; } &&
        [ -z "$(find . -name '*.tmp.*' ! -perm 600)" ] || intact=1
    i=$((i + 1))
done
verdict "killed $kills times, $cut of them at work: nothing lost, shown to others, or whole in name only" $intact
rm -f ./*.tmp.*
sizes=$([ -n "$OCTET_TEST_ALL" ] && seq 0 40 || echo 0 9)
clean=0
cp kept long && cp kept.oct back.oct
for size in $sizes; do
    rm -f long.oct back
    # shellcheck disable=SC2086
    (ulimit -f "$size" && exec "$octet" compress $text --block 16384 --rm long) >out 2>err
    [ $? -eq 1 ] && cmp -s long kept && [ ! -e long.oct ] || clean=1
    # shellcheck disable=SC2086
    (ulimit -f "$size" && exec "$octet" decompress $text --rm back.oct) >out 2>err
    [ $? -eq 1 ] && cmp -s back.oct kept.oct && [ ! -e back ] && [ -z "$(ls ./*.tmp.* 2>/dev/null)" ] || clean=1
done
verdict "a disk that is full at once or later: source there, output not" $clean
# shellcheck disable=SC2086
"$octet" compress $text -c kept 2>err | true
[ "$(wc -l <err)" -le 1 ]
verdict "a closed pipe is said once" $?
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    script -qec "'$octet' compress $text -c kinds" /dev/null </dev/null >out
    grep -q 'not written to a terminal' out
    verdict "no compressed bytes to a terminal" $?
fi

ends
