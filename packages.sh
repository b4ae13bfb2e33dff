#!/bin/sh
# Installs the Debian packages named as arguments that are missing; used by ./demo and ./check.
missing=
for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
[ -z "$missing" ] && exit 0
run=
[ "$(id -u)" = 0 ] || run=sudo
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$run apt-get update -q >/dev/null || exit 1
# shellcheck disable=SC2086
$run apt-get install -q -y --no-install-recommends $missing >/dev/null
