#!/bin/sh
# codec_cli_test.sh BINARY: octet encode, decode, continue and plot as people and scripts use them: round
# trips, losses that are said, pipes, odd files, full disks, signals. Makes its own audio. Prints TAP.
octet=$(realpath "$1") models=$(cd "$(dirname "$0")/../samples/models" && pwd)
[ -x "$octet" ] || {
    echo "usage: codec_cli_test.sh BINARY" >&2
    exit 1
}
. "$(dirname "$0")/cli_case.sh"

same() { # name, two files
    cmp -s "$2" "$3"
    verdict "$1" $?
}

# --- help ----------------------------------------------------------------------------------------
for command in encode decode; do
    works "$command --help" '^examples:' $command --help
    works "$command -h" "^usage: octet $command" $command -h
    fails "$command: no file" 1 'needs one file, not 0' $command -o new
    fails "$command: two files" 1 'needs one file, not 2' $command a b -o new
    fails "$command: unknown option" 1 'unknown option --frobnicate' $command --frobnicate
    fails "$command: a missing file" 1 'missing: .*No such file' $command missing -o new
    fails "$command: a directory" 1 '\.: .*irectory' $command . -o new
    fails "$command: --json to standard output" 1 'json.*-o FILE' $command a --json
    fails "$command: -o twice" 1 'given twice' $command a -o new -o new2
    fails "$command: --rate below" 1 'rate: "999" is not a whole number from 1000 to 384000' $command a --rate 999
    fails "$command: --channels above" 1 'channels: "9" is not' $command a --channels 9
done
works "encode --codec list" '^mulaw8 +8-bit mu-law' encode --codec list
[ "$(wc -l <out)" -eq 7 ]
verdict "seven codecs" $?

# --- there and back ------------------------------------------------------------------------------
awk 'BEGIN { srand(5); for (i = 0; i < 8000; i++) printf "%c%c", 97 + int(26 * rand()), 97 + int(26 * rand()) }' >samples
head -c 16000 samples >even
raw="--raw --codec pcm16 --rate 8000 --channels 2"
for suffix in wav flac aiff au; do
    # shellcheck disable=SC2086
    run decode even $raw -o "a.$suffix"
    [ "$rc" -eq 0 ] && [ ! -s out ] && [ ! -s err ]
    verdict "bytes become $suffix" $?
    works "$suffix becomes bytes" '^pcm16, 8000 Hz, 2 channels, 4000 frames \(0\.500 s\), 16000 bytes, lossless  b$' \
        encode "a.$suffix" -o b
    [ ! -s err ] && tail -c +65 b | cmp -s - even
    verdict "the same bytes behind a header of 64" $?
    works "$suffix, without a header" '16000 bytes' encode "a.$suffix" --raw -o c
    same "are the bytes alone" c even
    cp "a.$suffix" original
    run decode b -o "again.$suffix"
    same "$suffix comes back" "again.$suffix" original
    run decode b -o again
    same "without a suffix too" again original
done
for format in wav aiff au flac; do
    run decode b -o "to.$format" --to "$format"
    run encode "to.$format" --raw -o c
    same "through $format" c even
done
run decode b -o new.pcm
od -An -v -tx2 --endian=little new.pcm >c
od -An -v -tx2 --endian=big even | cmp -s - c
verdict "pcm is 16-bit little-endian" $?
run decode b -o new.ogg
[ "$rc" -eq 0 ] && [ "$(head -c 4 new.ogg)" = OggS ]
verdict "ogg" $?
run encode new.ogg -o c
[ "$rc" -eq 0 ] && grep -q 'lossy  c$' out && grep -q 'samples of [0-9]* rounded' err
verdict "and back, with what was lost" $?
"$octet" decode b 2>err | "$octet" encode - --raw 2>>err >c
same "through pipes" c even
[ ! -s err ]
verdict "without a word" $?
{ head -c 40 a.wav && printf '\377\377\377\377' && tail -c +45 a.wav; } >stream.wav
"$octet" encode - --raw <stream.wav >c 2>err
same "a WAV that does not know its length" c even
cat a.wav | "$octet" encode - -o b --json >out 2>err
[ $? -eq 0 ] && grep -Eq '^\{"path": "b", "codec": "pcm16", "container": "wav", "samples": "s16", "rate_hz": 8000, "channels": 2, "frames": 4000, "bytes": 16000, "lossless": true, "sandbox": "(filter|process)", "losses": \{"clipped": 0, "rounded": 0, "source_bits": 16, "codec_bits": 16, "rate_from": 8000, "rate_to": 8000, "channels_from": 2, "channels_to": 2\}\}$' out
verdict "encode --json" $?
works "decode --json" '^\{"path": "new.wav", "codec": "pcm16", "rate_hz": 8000, "channels": 2, "frames": 4000, "bytes": 16044\}$' \
    decode b -o new.wav --json
for codec in raw text; do
    works "any file as $codec" "^$codec, 16000 bytes, lossless  b\$" encode samples --codec $codec -o b
    run decode b -o c
    same "$codec comes back" c samples
    fails "$codec is no audio" 1 "codec $codec holds no audio" decode b --to wav -o new
done
: >empty
run encode empty --codec raw --raw -o c
same "nothing comes back" c empty
fails "nothing is no audio" 3 'empty: is not audio' encode empty -o new
# (mu-law has two zeros, 127 and 255; the second comes back for both.)
awk 'BEGIN { for (i = 1; i < 256; i++) printf "%c", i == 127 ? 255 : i }' >law
for codec in mulaw8 pcm8; do
    run decode law --raw --codec $codec --rate 8000 --channels 1 -o law.wav
    works "$codec" 'lossless  c$' encode law.wav --codec $codec --raw -o c
    same "$codec comes back" c law
done

# --- what is lost, and limits --------------------------------------------------------------------
run encode a.flac --rate 16000 --channels 1 -o c
[ "$rc" -eq 0 ] && grep -q '16000 Hz, 1 channel, 8000 frames.*lossy' out && grep -q 'resampled from 8000 to 16000 Hz$' err &&
    grep -q '2 channels averaged$' err
verdict "resampled and averaged" $?
cp c d
run encode a.flac --rate 16000 --channels 1 -o c -q
[ ! -s err ]
verdict "-q is silent" $?
same "again, the same" c d
run encode a.wav --codec pcm8 -o c
grep -q '16-bit samples rounded to 8 bits$' err
verdict "fewer bits" $?
run encode a.wav --no-sandbox -o c
[ "$rc" -eq 0 ] && grep -q 'without a sandbox$' err && [ "$(wc -l <err)" -eq 1 ]
verdict "--no-sandbox says so" $?
fails "two channels to three" 1 'a.wav: 2 channels cannot become 3' encode a.wav --channels 3 -o new
run decode even --raw --codec pcm16 --rate 1000 --channels 1 -o slow.wav
fails "too far" 1 'slow.wav: 1000 Hz cannot become 384000 Hz' encode slow.wav --rate 384000 -o new
fails "an unknown codec" 1 'no codec "opus"' encode a.wav --codec opus -o new
fails "raw at a rate" 1 'codec raw has neither' encode a.wav --codec raw --rate 8000 -o new
head -c 48000 /dev/zero >zeros
# shellcheck disable=SC2086
run decode zeros $raw -o long.wav
fails "too long" 1 'long.wav: longer than the limit of 1 s' encode long.wav --max-seconds 1 -o new
works "long enough" 'lossless' encode long.wav --max-seconds 2 -o c

# --- images --------------------------------------------------------------------------------------
awk 'BEGIN { srand(3); printf "P6\n16 8\n255\n"; for (i = 0; i < 384; i++) printf "%c", 1 + int(127 * rand()) }' >p.ppm
awk 'BEGIN { printf "P5\n16 8\n255\n"; for (i = 0; i < 128; i++) printf "%c", 1 + i % 100 }' >p.pgm
works "encode an image by its signature" '^image, 16 x 8 pixels, 3 channels, 384 bytes, lossless  b$' encode p.ppm -o b
[ ! -s err ]
verdict "without a word" $?
run decode b -o c
same "an image comes back" c p.ppm
tail -c 384 p.ppm >pixels
run encode p.ppm --raw -o c
same "its bytes are its pixels" c pixels
run decode b -o p.png
[ "$rc" -eq 0 ] && [ "$(head -c 4 p.png | tail -c 3)" = PNG ]
verdict "to PNG" $?
works "and back" '^image, 16 x 8 pixels, 3 channels, blocks of 4 x 4, 384 bytes, lossless  b$' encode p.png --block 4 -o b
run decode b -o c.ppm
same "in blocks" c.ppm p.ppm
"$octet" decode b 2>err | cmp -s - p.png
verdict "to standard output as what it was" $?
cat p.png | "$octet" encode - --block 4 | "$octet" decode - --to pnm 2>err | cmp -s - p.ppm
verdict "an image through pipes" $?
works "encode --json of an image" '"codec": "image", "container": "png".*"sandbox": "(filter|process)".*"width": 16, "block": 4, "transparent": 0\}$' encode p.png --block 4 -o b --json
run encode p.png --no-sandbox -o c
[ "$rc" -eq 0 ] && grep -q 'without a sandbox$' err
verdict "--no-sandbox of PNG says so" $?
run encode p.pgm -o b
run decode b -o c
same "grey" c p.pgm
works "grey to three channels" '16 x 8 pixels, 3 channels, 384 bytes, lossy' encode p.pgm --channels 3 -o b
grep -q 'p.pgm: one channel copied to 3$' err
verdict "is said" $?
image="--raw --codec image --width 16 --height 8 --channels"
# shellcheck disable=SC2086
run decode pixels $image 3 -o c.ppm
same "pixels without a header" c.ppm p.ppm
fails "no averages" 3 'p.ppm: 3 channels, not 1' encode p.ppm --channels 1 -o new
fails "two channels" 1 '2 channels, blocks of 1: an image has 1 or 3' encode p.ppm --channels 2 -o new
fails "blocks that do not divide" 1 '16 x 8 pixels, .* blocks of 3: the side' encode p.ppm --block 3 -o new
fails "an image at a rate" 1 'codec image has no rate' encode p.ppm --rate 8000 -o new
fails "blocks of audio" 1 'codec pcm16 has no blocks' encode a.wav --block 2 -o new
fails "text as an image" 3 'even: is not an image that is read \(PNM, PNG\)' encode even --codec image -o new
fails "audio as an image" 3 'a.wav: is not an image that is read' encode a.wav --codec image -o new
fails "nothing as an image" 3 'empty: is not an image' encode empty --codec image -o new
head -c 300 p.png >cut.png
fails "a cut PNG" 3 'cut.png: the PNG chunk at byte 33 claims' encode cut.png -o new
printf '\377\330\377\340' >jpeg
fails "JPEG" 3 'jpeg: JPEG is not read' encode jpeg -o new
run encode p.ppm -o b
fails "an image as sound" 1 'an image of 3 channels cannot become wav: png or ppm' decode b --to wav -o new
# shellcheck disable=SC2086
fails "pixels of another size" 3 '16 x 8 pixels of 1 channel are 128 bytes, not 384' decode pixels $image 1 -o new
fails "--raw without a size" 1 'needs a width and a height' decode pixels --raw --codec image --channels 3 -o new
fails "--width without --raw" 1 '--width: only with --raw' decode b --width 16 -o new

# --- records -------------------------------------------------------------------------------------
head -c 1000 even >things
works "records" '^records, 1000 bytes in records of 13 and patches of 8, 1232 bytes, lossless  b$' encode things --codec records --record-bytes 13 --patch 8 --filler 255 -o b
run decode b -o c
same "come back" c things
head -c 39 things >short
run encode short --codec records --record-bytes 13 --patch 8 --raw -o b
run decode b --raw --codec records --record-bytes 13 --patch 8 -o c
same "without a header too" c short
run encode empty --codec records --record-bytes 13 -o b
run decode b -o c
same "nothing in records" c empty
fails "records of no size" 1 'records of 0 bytes, .*: a record has 1 to 16777216' encode things --codec records -o new
fails "a broken patch" 3 '39 bytes are no whole number of patches of 8' decode short --raw --codec records --record-bytes 13 --patch 8 -o new

# --- what is wrong -------------------------------------------------------------------------------
run encode a.wav -o b
head -c 100 b >cut
fails "a cut file" 3 'cut: 4000 frames of 4 bytes by its header, but 36 bytes follow' decode cut -o new
head -c 10 b >cut
fails "a cut header" 3 'cut: is not a file that octet encode wrote' decode cut -o new
{ head -c 12 b && printf '\1' && tail -c +14 b; } >damaged
fails "a damaged header" 3 'damaged: the header is damaged' decode damaged -o new
fails "no encoded file" 3 'a.wav: is not a file that octet encode wrote' decode a.wav -o new
head -c 5000 a.flac >cut.flac
fails "a cut FLAC" 3 'cut.flac: ' encode cut.flac -o new
fails "text" 3 'even: is not audio that is read \(WAV' encode even -o new
fails "--raw without a codec" 1 'raw: needs --codec' decode even --raw -o new
fails "--raw without a rate" 1 'codec pcm16 needs a rate .*not 0 Hz' decode even --raw --codec pcm16 -o new
head -c 15999 even >half
fails "--raw, half a frame" 3 '15999 bytes are no whole number' decode half --raw --codec pcm16 --rate 8000 --channels 1 -o new
fails "--rate without --raw" 1 '--rate: only with --raw' decode b --rate 8000 -o new
fails "mp3 is not written" 1 '"mp3" is not written' decode b -o new.mp3
fails "--to none of its words" 1 '--to: "mp3" is none of' decode b --to mp3 -o new
fails "a missing folder" 1 'none/new: No such file' encode a.wav -o none/new
"$octet" encode a.wav >/dev/full 2>err
[ $? -eq 1 ] && grep -q 'standard output: No space left' err && [ "$(wc -l <err)" -eq 1 ]
verdict "encode to a full disk" $?
"$octet" decode b >/dev/full 2>err
[ $? -eq 1 ] && grep -q 'standard output: No space left' err
verdict "decode to a full disk" $?
run encode a.wav -o /dev/full
[ "$rc" -eq 1 ] && grep -q '/dev/full: No space left' err
verdict "-o a full disk" $?
echo old >kept
chmod 600 kept
run encode even -o kept
[ "$rc" -eq 3 ] && [ "$(cat kept)" = old ]
verdict "what was there stays after an error" $?
run encode a.wav -o kept
[ "$rc" -eq 0 ] && [ "$(stat -c %a kept)" = 600 ]
verdict "its mode after success" $?
mkfifo fifo
"$octet" encode fifo -o new 2>err &
child=$!
sleep 0.3
kill -TERM $child
wait $child
[ $? -eq 143 ] && [ ! -e new ]
verdict "SIGTERM: 143, nothing left" $?

# --- models of audio -----------------------------------------------------------------------------
level='"layers": 1, "heads": 2'
audio() { # file, keys
    printf '{"context": 128, %s, "levels": [{"dim": 16, %s, "patch": 8}, {"dim": 16, %s}], "train": {"batch": 4, "steps": 6}}\n' \
        "$2" "$level" "$level" >"$1"
}
audio audio.json '"codec": "pcm8", "rate_hz": 8000, "channels": 1'
audio norate.json '"codec": "pcm8", "channels": 1'
audio noaudio.json '"channels": 1'
audio oddframe.json '"codec": "pcm16", "rate_hz": 8000, "channels": 3'
"$octet" encode a.wav --codec pcm8 --rate 8000 --channels 1 --raw -o eight -q >/dev/null
"$octet" decode eight --raw --codec pcm8 --rate 16000 --channels 1 -o fast.flac
mkdir clips
"$octet" decode eight --raw --codec pcm8 --rate 8000 --channels 1 -o clips/slow.wav
mv fast.flac clips
run train clips -c audio.json -o heard --threads 2
[ "$rc" -eq 0 ] && [ -s heard/best.safetensors ] && grep -q 'of 2 files 1 were resampled, 0 mixed' err
verdict "train on a folder of audio" $?
works "score of audio counts its coded bytes" "^ *$(wc -c <eight) .* clips/slow.wav\$" score -m heard clips/slow.wav
run score -m heard clips/fast.flac
[ "$rc" -eq 0 ] && grep -q 'clips/fast.flac: resampled from 16000 to 8000 Hz' err
verdict "what the model's codec loses is said" $?
fails "score of a text by a model of audio" 3 'is not audio' score -m heard audio.json
fails "train on a text" 3 'is not audio' train audio.json -c audio.json -o new
fails "a codec without a rate" 1 'rate_hz 0, channels 1: codec "pcm8" needs 1000' train clips -c norate.json -o new
fails "channels without a codec" 1 'codec "raw" has neither' train clips -c noaudio.json -o new
fails "a patch of broken frames" 1 'a frame of 6 bytes does not divide the outermost patch of 8' train clips -c oddframe.json -o new

# --- models of images and records ----------------------------------------------------------------
picture() { # file, keys
    printf '{"context": 384, %s, "levels": [{"dim": 24, %s, "patch": 12}, {"dim": 16, %s}], "train": {"batch": 4, "steps": 3}}\n' \
        "$2" "$level" "$level" >"$1"
}
size='"image_width": 16, "image_height": 8, "channels": 3'
picture image.json "\"codec\": \"image\", $size, \"image_block\": 2"
picture noimage.json "$size"
picture nosize.json '"codec": "image", "channels": 3'
picture odd.json "\"codec\": \"image\", $size, \"image_block\": 3"
picture records.json '"codec": "records", "record_bytes": 13'
mkdir pictures
for i in 01 02 03 04 05 06 07 08 09 10 11 12; do cp p.ppm pictures/$i.ppm; done
cp p.png pictures/10.ppm
run train pictures -c image.json -o seen --threads 2
[ "$rc" -eq 0 ] && [ -s seen/best.safetensors ]
verdict "train on a folder of images: one of 12 is held out" $?
works "score of an image counts its pixels' bytes" '^ *384 .* p.png$' score -m seen p.png
sed '2s/.*/8 16/' p.ppm >tall.ppm
fails "score of another size" 3 'tall.ppm: 8 x 16 pixels, not 16 x 8' score -m seen tall.ppm
run generate -m seen --seed 1 -o c.png
[ "$rc" -eq 0 ] && [ ! -s out ] && "$octet" encode c.png -o - | head -c 64 | grep -q image
verdict "generate an image" $?
run generate -m seen --seed 1 -o drawn
[ "$rc" -eq 0 ] && "$octet" decode drawn --raw --codec image --width 16 --height 8 --channels 3 --block 2 -o d.png && cmp -s c.png d.png
verdict "its bytes decode to the same" $?
"$octet" encode p.ppm --block 2 --raw | head -c 192 >half
run generate -m seen --seed 1 --prompt-file half -o c.ppm
"$octet" encode c.ppm --block 2 --raw | head -c 192 | cmp -s - half && [ "$(wc -c <c.ppm)" -eq "$(wc -c <p.ppm)" ]
verdict "half an image is completed" $?
fails "no whole image" 3 '16 x 8 pixels of 3 channels are 384 bytes, not 200' generate -m seen -n 200 -o new.png
fails "colours as grey" 1 "new.pgm: the model's images have 3 channels: .ppm" generate -m seen -o new.pgm
fails "several images" 1 'new.png: an image goes with none of' generate -m seen --samples 2 -o new.png
cp p.pgm pictures/11.pgm
works "grey among colours" 'best ' train pictures -c image.json -o seen2
printf 'P6 2 2 255 123456789012' >pictures/12.ppm
fails "train on another size" 3 'pictures/12.ppm: 2 x 2 pixels, not 16 x 8' train pictures -c image.json -o new
fails "train images on a text" 3 'image.json: is not an image' train image.json -c image.json -o new
fails "an image without a codec" 1 'codec "raw" has' train p.ppm -c noimage.json -o new
fails "an image without a size" 1 'image_width 0, image_height 0' train p.ppm -c nosize.json -o new
fails "blocks that do not divide a model's images" 1 'image_block: 3 does not divide 16 x 8' train p.ppm -c odd.json -o new
run train things -c records.json -o kept_records
[ "$rc" -eq 0 ]
verdict "train on records" $?
works "score of records counts whole patches" '^ *1836 .* things$' score -m kept_records things
# --- continue ------------------------------------------------------------------------------------
works "continue --help" '^examples:' continue --help
"$octet" decode eight --raw --codec pcm8 --rate 8000 --channels 1 -o clip.wav
bytes() { tail -c +45 "$1"; } # of a WAV's samples
size() { wc -c <"$1"; }
going="continue -m heard --seed 3 --seconds 0.1"
# shellcheck disable=SC2086
works "a clip goes on" '^wav u8, 8000 Hz, 1 channel, seam at 0\.500 s, 0\.600 s in all  longer\.wav$' $going clip.wav -o longer.wav
[ "$(size longer.wav)" -eq $(($(size clip.wav) + 800)) ] && [ "$(wc -l <err)" -eq 1 ] &&
    grep -q 'clip.wav: the model reads the last 0.012 of 0.500 s$' err
verdict "by 800 samples, and says what it read" $?
bytes clip.wav >old
bytes longer.wav | head -c 4000 | cmp -s - old
verdict "after the clip's own samples" $?
$octet $going clip.wav -o twice.wav -q >/dev/null 2>err
cmp -s longer.wav twice.wav && [ ! -s err ]
verdict "equal seeds, equal files; -q is silent" $?
$octet $going clip.wav -o twice.wav -f --seed 3 >/dev/null 2>err
[ $? -eq 1 ] && grep -q 'seed: given twice' err
verdict "--seed twice" $?
$octet $going clip.wav --only-new -o only.wav -q >/dev/null
bytes longer.wav | tail -c 800 >fresh
bytes only.wav | cmp -s - fresh
verdict "--only-new" $?
$octet $going clip.wav -q >stream.wav
bytes stream.wav >c
bytes longer.wav | cmp -s - c
verdict "to standard output the same samples" $?
$octet $going clip.wav --raw -q -o - | cmp -s - c
verdict "--raw without a header" $?
works "a stream can be read back" '4800 frames' encode stream.wav -o b
$octet $going - -q <clip.wav | cmp -s - stream.wav
verdict "a clip from standard input" $?
$octet $going clip.wav --samples 3 -o many.wav -q >out
[ "$(wc -l <out)" -eq 3 ] && cmp -s many-1.wav longer.wav && ! cmp -s many-1.wav many-2.wav && [ -s many-3.wav ]
verdict "three as one batch, the first as alone" $?
$octet $going clip.wav --samples 2 -o many.flac -q --json >out
grep -Eq '^\{"clip": "clip.wav", "container": "flac", "samples": "s8", "rate_hz": 8000, "channels": 1, "clip_frames": 4000, "seam_seconds": 0.5, "read_bytes": 96, "seed": 3, "files": \[\{"path": "many-1.flac", "new_frames": 800\}, \{"path": "many-2.flac", "new_frames": 800\}\]\}$' out &&
    "$octet" encode many-1.flac --codec pcm8 --raw -o c -q >/dev/null && bytes longer.wav | cmp -s - c
verdict "--json, and another container by the suffix" $?
"$octet" decode even --raw --codec pcm16 --rate 44100 --channels 2 -o fast44.flac
works "a stereo clip of another rate" '^flac s16, 44100 Hz, 2 channels, seam at 0\.091 s, 0\.191 s in all  two$' \
    continue -m heard --seconds 0.1 fast44.flac -o two
grep -q 'fast44.flac: continued at 8000 Hz and resampled to 44100 Hz$' err && grep -q 'hears the average of 2 channels' err
verdict "and what is done about it" $?
"$octet" encode two -o c --raw -q >/dev/null
head -c 16000 c | cmp -s - even
verdict "its samples are unchanged" $?
"$octet" decode even --raw --codec pcm16 --rate 8000 --channels 1 -o sound.ogg
works "an Ogg goes on as WAV" '^wav f32, ' continue -m heard --seconds 0 sound.ogg -o vorbis
grep -q 'sound.ogg: ogg would not keep its samples, wav is written' err
verdict "which is said" $?
: >nothing
"$octet" decode nothing --raw --codec pcm8 --rate 8000 --channels 1 -o zero.wav
printf 'abc' >three
"$octet" decode three --raw --codec pcm8 --rate 8000 --channels 1 -o three.wav
# shellcheck disable=SC2086
works "a clip of nothing" 'seam at 0\.000 s, 0\.100 s in all' $going zero.wav -o z.wav
grep -q 'holds no samples, the model starts from nothing' err
verdict "is said to be one" $?
# shellcheck disable=SC2086
works "a clip shorter than a patch" 'seam at 0\.000 s, 0\.100 s in all' $going three.wav -o z3.wav
[ ! -s err ] && bytes z3.wav | head -c 3 | cmp -s - three
verdict "without a word" $?
works "--seconds 0 is the clip" 'seam at 0\.500 s, 0\.500 s in all' continue -m heard clip.wav --seconds 0 -o none.wav
bytes none.wav | cmp -s - old
verdict "and nothing else" $?
for bad in -2 1e9 x; do
    fails "--seconds $bad" 1 "seconds: \"$bad\" is not a number from -1 to 86400" continue -m heard clip.wav --seconds $bad -o new.wav
done
fails "--seconds -0.5" 1 'seconds: neither 0 or more nor -1' continue -m heard clip.wav --seconds -0.5 -o new.wav
fails "without end into a file" 1 'seconds -1 .without end.: only to standard output' continue -m heard clip.wav --seconds -1 -o new.wav
fails "several to standard output" 1 'samples: needs -o FILE' continue -m heard clip.wav --samples 2
fails "more than a WAV holds" 1 'wav cannot hold' continue -m heard fast44.flac --seconds 80000 -o new.wav -q
fails "two clips" 1 'needs one file, not 2' continue -m heard clip.wav clip.wav -o new.wav
fails "a missing clip" 1 'missing: .*No such file' continue -m heard missing -o new.wav
fails "a clip that is none" 3 'even: is not audio that is read' continue -m heard even -o new.wav
fails "a container that changes samples" 1 '"ogg" would not keep' continue -m heard clip.wav -o new.ogg
run continue -m heard clip.wav -o longer.wav
[ "$rc" -eq 1 ] && grep -q 'longer.wav: the file exists (-f replaces it)$' err && cmp -s longer.wav twice.wav
verdict "what exists stays" $?
run continue -m heard clip.wav -o many.wav --samples 3
[ "$rc" -eq 1 ] && grep -q 'many-1.wav: the file exists' err
verdict "also of several" $?
# shellcheck disable=SC2086
run $going clip.wav -o twice.wav -f
[ "$rc" -eq 0 ] && cmp -s longer.wav twice.wav
verdict "but for -f" $?
export OCTET_MODELS="$models"
works "the default model is speech" 'seam at 0\.500 s, 0\.600 s in all' continue clip.wav --seconds 0.1 -o spoken.wav
works "in f32 too" 'seam at 0\.500 s, 0\.600 s in all' continue clip.wav --seconds 0.1 --profile f32 -o spoken2.wav
unset OCTET_MODELS
sed 's/"codec.*"channels": 1, //' audio.json >text.json
"$octet" train samples -c text.json -o text --threads 2 >/dev/null 2>&1
fails "a model of text" 4 'model text/best.safetensors reads no audio' continue -m text clip.wav -o new.wav
run continue -m heard clip.wav -o /dev/full
[ "$rc" -eq 1 ] && grep -q '/dev/full: No space left' err
verdict "continue -o a full disk" $?
"$octet" continue -m heard clip.wav -q >/dev/full 2>err
[ $? -eq 1 ] && grep -q 'standard output: No space left' err && [ "$(wc -l <err)" -eq 1 ]
verdict "continue to a full disk" $?
{
    "$octet" continue -m heard clip.wav --seconds -1 -q 2>err
    echo $? >code
} | head -c 5000 >c
[ "$(cat code)" -eq 1 ] && grep -q 'standard output: Broken pipe' err && [ "$(size c)" -eq 5000 ]
verdict "without end, until the pipe closes" $?
"$octet" continue -m heard clip.wav --seconds 80000 -o new.wav -q >out 2>err &
child=$!
sleep 0.5
kill -INT $child
wait $child
[ $? -eq 130 ] && [ ! -e new.wav ] && [ ! -s err ]
verdict "SIGINT: 130, nothing left" $?

# --- pictures ------------------------------------------------------------------------------------
works "plot --help" '^examples:' plot --help
run plot clip.wav fast44.flac longer.wav --mark 0.5 -m heard -o sounds.svg
[ "$rc" -eq 0 ] && [ ! -s out ] && [ ! -s err ] && [ "$(grep -c 'clip.wav\|fast44.flac\|longer.wav' sounds.svg)" -eq 3 ] &&
    [ "$(grep -c '<image' sounds.svg)" -eq 3 ] && grep -q ' bit<' sounds.svg && tail -n 1 sounds.svg | grep -q '</svg>$'
verdict "waveforms, spectrograms and bits of three files" $?
works "a PNG, as JSON" '^\{"path": "sounds.png", "files": 1\}$' plot clip.wav -o sounds.png --json
run plot clip.wav -o sounds.png
[ "$rc" -eq 0 ] && [ "$(head -c 4 sounds.png | tail -c 3)" = PNG ]
verdict "a PNG" $?
run plot zero.wav -o zero.svg
[ "$rc" -eq 0 ] && grep -q '0.000 s' zero.svg
verdict "a picture of nothing" $?
fails "plot without -o" 1 'needs -o OUT' plot clip.wav
fails "plot without a file" 1 'needs 1 to 16 files, not 0' plot -o new.svg
fails "a picture of another kind" 1 'new.jpg: a picture.s name ends in .svg or .png' plot clip.wav -o new.jpg
fails "a picture of a text" 3 'is not audio that is read' plot clip.wav audio.json -o new.svg
fails "a mark before the start" 1 'mark: "-1" is not a number' plot clip.wav --mark -1 -o new.svg
fails "bits under a model of text" 4 'reads no audio' plot clip.wav -m text -o new.svg
fails "a picture in a missing folder" 1 'none/new.png: ' plot clip.wav -o none/new.png
ln -s /dev/full full.svg
ln -s /dev/full full.png
for suffix in svg png; do
    run plot clip.wav -o full.$suffix
    [ "$rc" -eq 1 ] && grep -q "full.$suffix: .*No space left" err
    verdict "a picture on a full disk, $suffix" $?
done

left=$(find . -name '*.tmp.*' | wc -l)
verdict "no temporary is left" "$left"

ends
