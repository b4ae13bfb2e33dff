#!/bin/sh
# tests/lavapipe.sh FOLDER [SUITE]: unpacks Mesa's software device for Vulkan, of Debian's backports, into FOLDER and
# writes FOLDER/environment, which a shell sources to use it. Nothing is installed: the mirror comes from the machine's
# own sources, lists and packages stay in FOLDER. Mesa 22.3, of Debian 12 itself, stops loops after 65,535 rounds.
# Of another SUITE (trixie: Mesa 26.1, with cooperative matrices) come its C library, layers and shader compiler too;
# programs are then run by $OCTET_RUN PROGRAM.
least=25.0.7
[ -n "$1" ] || { echo "usage: tests/lavapipe.sh FOLDER" >&2; exit 1; }
mkdir -p "$1" && cd "$1" || exit 1
folder=$PWD
[ -f environment ] && . ./environment && echo "ok 1 - Mesa $OCTET_MESA" && exit 0
mkdir -p lists/partial cache/archives/partial root || exit 1
. /etc/os-release
# The mirror that serves the release itself, from either form of sources.
mirror=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk -v suite="$VERSION_CODENAME" '
    /^URIs:/ { uri = $2 } /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == suite) { print uri; exit } }')
[ -n "$mirror" ] || mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk -v suite="$VERSION_CODENAME" '
    $1 == "deb" { for (i = 2; i < NF; i++) if ($(i + 1) == suite) { print $i; exit } }')
[ -n "$mirror" ] || { echo "lavapipe.sh: no source of $VERSION_CODENAME in /etc/apt" >&2; exit 1; }
suite=${2:-$VERSION_CODENAME} status=/var/lib/dpkg/status more=
if [ "$suite" != "$VERSION_CODENAME" ]; then
    status=$folder/status more="libvulkan1 vulkan-validationlayers glslc spirv-tools"
    : >"$status" # nothing is there: all that they need comes along
fi
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite-backports main" >sources.list
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >>sources.list
apt() {
    command=$1
    shift
    apt-get -q -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" -o Dir::State::status="$status" -o APT::Sandbox::User=root \
        -o Acquire::Languages=none "$command" "$@"
}
apt update >log 2>&1 || { cat log >&2; exit 1; }
# Its packages and what they need and this machine lacks, in the versions of the backports.
# shellcheck disable=SC2086
apt -s install -y --no-install-recommends -t "$suite-backports" mesa-vulkan-drivers $more >simulated 2>&1 ||
    { cat simulated >&2; exit 1; }
packages=$({ printf '%s\n' mesa-vulkan-drivers $more; awk '$1 == "Inst" { print $2 }' simulated; } | sort -u)
mkdir -p packages && cd packages || exit 1
# shellcheck disable=SC2086
for package in $packages; do
    apt download -t "$suite-backports" "$package" >>"$folder/log" 2>&1 || { tail "$folder/log" >&2; exit 1; }
done
for file in *.deb; do
    dpkg -x "$file" "$folder/root" || exit 1
done
version=$(dpkg-deb -f mesa-vulkan-drivers_*.deb Version) || exit 1
dpkg --compare-versions "$version" ge "$least" || { echo "lavapipe.sh: Mesa $version is below $least" >&2; exit 1; }
cd "$folder" || exit 1
libraries=$(dirname "$(find root -name libvulkan_lvp.so)")
sed "s|\"library_path\": \".*\"|\"library_path\": \"$folder/$libraries/libvulkan_lvp.so\"|" \
    "$(find root -name 'lvp_icd*.json')" >lvp.json || exit 1
paths=$folder/$libraries:$folder/root/lib/$(basename "$libraries")
cat >environment <<END
export VK_DRIVER_FILES='$folder/lvp.json' VK_ICD_FILENAMES='$folder/lvp.json'
export OCTET_MESA='$version'
END
if [ -z "$more" ]; then
    echo "export LD_LIBRARY_PATH='$paths'" >>environment
else
    cat >>environment <<END
export VK_LAYER_PATH='$folder/root/usr/share/vulkan/explicit_layer.d'
export OCTET_RUN='$(echo "$folder/$libraries"/ld-linux-*) --library-path $paths:/$libraries'
export OCTET_TOOLS='$folder/root/usr/bin'
END
    sed -i "s#:/root/usr#:/usr#" environment
fi
echo "ok 1 - Mesa $version"
