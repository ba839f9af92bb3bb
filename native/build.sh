#!/bin/sh
# Rebuilds the sandbox program that ships with the sources: static, so that it runs on any Linux of
# this architecture, and byte for byte the same from the same compiler and musl.
# Usage: native/build.sh [output]
set -eu
cd "$(dirname "$0")"
out=${1:-prebuilt/linux-x64/builder-sandbox}
mkdir -p "$(dirname "$out")"
musl-gcc -std=gnu11 -Os -static -s -Wall -Wextra -Werror -D_GNU_SOURCE -fno-ident \
  -fno-asynchronous-unwind-tables -Wl,--build-id=none -Wl,-z,noseparate-code \
  sandbox.c nursery.c spec.c cgroup.c inside.c filter.c measure.c command.c terminal.c tree.c -o "$out"
chmod 755 "$out"
# What it was made from and with, by which a test knows whether to expect the same bytes.
{
  cat ./*.c ./*.h build.sh | sha256sum | sed 's/ .*//; s/^/sources /'
  musl-gcc --version | sed -n 's/^/compiler /; 1p'
  ld --version | sed -n 's/^/linker /; 1p'
  { /lib/ld-musl-*.so.1 2>&1 || true; } | sed -n 's/^Version /musl /p'
} >"$out.made-with"
