#!/bin/sh
# Rebuilds the audit program that ships with the sources: static, and byte for byte the same from the
# same compiler and musl. Usage: native/audit/build.sh [output]
set -eu
cd "$(dirname "$0")"
out=${1:-../prebuilt/linux-x64/builder-audit}
mkdir -p "$(dirname "$out")"
musl-gcc -std=gnu11 -Os -static -s -Wall -Wextra -Werror -D_GNU_SOURCE -fno-ident \
  -fno-asynchronous-unwind-tables -Wl,--build-id=none -Wl,-z,noseparate-code \
  audit.c calls.c tasks.c memory.c resolve.c fill.c record.c observe.c network.c vary.c -o "$out"
chmod 755 "$out"
# What it was made from and with, by which a test knows whether to expect the same bytes.
{
  cat ./*.c ./*.h build.sh | sha256sum | sed 's/ .*//; s/^/sources /'
  musl-gcc --version | sed -n 's/^/compiler /; 1p'
  ld --version | sed -n 's/^/linker /; 1p'
  { /lib/ld-musl-*.so.1 2>&1 || true; } | sed -n 's/^Version /musl /p'
} >"$out.made-with"
