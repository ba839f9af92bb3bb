#!/bin/sh
# Rebuilds the Windows helper that ships with the sources, with mingw-w64 (Debian:
# gcc-mingw-w64-x86-64-win32): byte for byte the same from the same compiler.
# Usage: native/windows/build.sh [output]
set -eu
cd "$(dirname "$0")"
out=${1:-../prebuilt/win32-x64/builder-job.exe}
mkdir -p "$(dirname "$out")"
compiler=x86_64-w64-mingw32-gcc
$compiler -std=gnu11 -Os -static -s -Wall -Wextra -Werror -DUNICODE -D_UNICODE -D_WIN32_WINNT=0x0602 \
  -fno-ident -fno-asynchronous-unwind-tables -Wl,--no-insert-timestamp \
  job.c spec.c limits.c tree.c -o "$out" -ladvapi32
# What it was made from and with, by which a test knows whether to expect the same bytes.
{
  cat ./*.c ./*.h build.sh | sha256sum | sed 's/ .*//; s/^/sources /'
  $compiler --version | sed -n 's/^/compiler /; 1p'
  x86_64-w64-mingw32-ld --version | sed -n 's/^/linker /; 1p'
} >"$out.made-with"
