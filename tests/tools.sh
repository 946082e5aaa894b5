#!/bin/sh
# Installs the programs that some tests use as peers and referees, when root and missing; never fails the build.
missing=""
for pair in docker:docker.io docker-compose:docker-compose tshark:tshark serf:serf chromium:chromium; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "tools: not here and cannot be installed by this user:$missing; tests that need them are skipped"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
for package in $missing; do
    [ "$package" = docker.io ] && apt-cache show docker-cli >/dev/null 2>&1 && package=docker-cli
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 && continue
    apt-get update -qq >/dev/null 2>&1
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
        echo "tools: $package cannot be installed here; tests that need it are skipped"
done
