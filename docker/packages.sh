#!/usr/bin/env bash
# packages.sh PROGRAM: the packages of the shared libraries that a program loads, one a line. CUDA's libraries and cuDNN
# are left out: the image has them.
set -euo pipefail
libraries=$(ldd "$1")
if grep 'not found' <<<"$libraries" >&2; then exit 1; fi
mapfile -t files < <(awk '$2 == "=>" { print $3 }' <<<"$libraries" | xargs realpath)
# A package may list a file in /lib that is found in /usr/lib, or the other way round; so some are not found, and some
# belong to no package.
{ dpkg-query -S "${files[@]}" "${files[@]#/usr}" 2>/dev/null || true; } |
  cut -d : -f 1 | grep -vE '^(cuda|lib(cublas|cudnn))' | sort -u
