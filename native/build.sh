#!/bin/sh
# Rebuilds a program that ships with the sources: static, so that it runs on any Linux of this
# architecture, and byte for byte the same from the same compiler and musl.
# Usage: native/build.sh sandbox|audit [output]
set -eu
export LC_ALL=C
cd "$(dirname "$0")"
program=$1
out=${2:-$PWD/prebuilt/linux-x64/builder-$program}
mkdir -p "$(dirname "$out")"
script=$PWD/build.sh
# The sandbox's sources are here, others in a folder of their own.
[ "$program" = sandbox ] || cd "$program"
musl-gcc -std=gnu11 -Os -static -s -Wall -Wextra -Werror -D_GNU_SOURCE -fno-ident \
  -fno-asynchronous-unwind-tables -Wl,--build-id=none -Wl,-z,noseparate-code ./*.c -o "$out"
chmod 755 "$out"
# What it was made from and with, by which a test knows whether to expect the same bytes.
{
  cat ./*.c ./*.h "$script" | sha256sum | sed 's/ .*//; s/^/sources /'
  musl-gcc --version | sed -n 's/^/compiler /; 1p'
  ld --version | sed -n 's/^/linker /; 1p'
  { /lib/ld-musl-*.so.1 2>&1 || true; } | sed -n 's/^Version /musl /p'
} >"$out.made-with"
