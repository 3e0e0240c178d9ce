#!/usr/bin/env bash
# check_relocated.sh BUILD_DIR [STAND_INS]: what `cmake --install` and `cpack` make works in another folder with an empty
# environment, and takes no library from the system that it should have brought. With the folder of the software GPU's
# libraries also: the program finds CUDA's libraries where Python's packages have them, and says what is missing where
# there are none. Exit code 77: all that could be tried here works, and what could not is named.
set -euo pipefail
build=$1 stand_ins=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
skipped=0
skip() { echo "check_relocated: skipped: $*"; skipped=77; }
fail() { echo "check_relocated: error: $*" >&2; exit 1; }

# What a machine has by itself; ConvoyInstall.cmake says why.
system='^(linux-vdso|ld-linux-[^ ]*|lib(c|m|mvec|dl|pthread|rt|resolv|util|stdc\+\+|gcc_s))\.so'

# works PREFIX: in that folder, with nothing in the environment.
works() {
  local program=$1/bin/convoy
  env -i "$program" --version >/dev/null || fail "$program does not start"
  env -i HOME="$work" "$program" doctor >"$work/log" || { cat "$work/log"; fail "$program doctor"; }
  env -i "$program" recipes --json >"$work/log" || { cat "$work/log"; fail "$program recipes"; }
  grep -qF "\"file\":\"$1/share/convoy/recipes/classic.toml\"" "$work/log" ||
    { cat "$work/log"; fail "the recipes are not those of $1"; }
  env -i "$program" train --recipe classic --summary >"$work/log" || { cat "$work/log"; fail "$program train --recipe"; }
}
# complete PREFIX: the program's libraries lie in it.
complete() {
  local foreign
  foreign=$(env -i LD_TRACE_LOADED_OBJECTS=1 "$1/bin/convoy" | sed 's/^[[:space:]]*//; s|^/lib\(64\)\{0,1\}/||' |
    grep -vE "$system" | grep -v "=> $1/" || true)
  [[ -z $foreign ]] || fail "not from the installed folder: $foreign"
}

cmake --install "$build" --prefix "$work/prefix" --strip >/dev/null
for file in man/man1/convoy.1 man/man1/convoy-train.1 bash-completion/completions/convoy zsh/site-functions/_convoy \
  fish/vendor_completions.d/convoy.fish; do
  [[ -s $work/prefix/share/$file ]] || fail "share/$file is not installed"
done
mkdir "$work/elsewhere"
mv "$work/prefix" "$work/elsewhere/moved"
moved=$work/elsewhere/moved
works "$moved"
env -i "$moved/bin/convoy" gradcheck --device reference >"$work/log" || { cat "$work/log"; fail "gradcheck"; }
complete "$moved"
for file in "$moved/bin/convoy" "$moved"/lib*/convoy/*.so*; do
  ! readelf -d "$file" | grep -E 'R(UN)?PATH' | grep -F "$build" || fail "$file is looked for in the build folder"
done

if [[ -n $stand_ins ]]; then
  packages=$work/venv/lib/python3.11/site-packages/nvidia
  mkdir -p "$packages/cu13/lib" "$packages/cudnn/lib"
  ln -s "$stand_ins"/libcu{dart,blasLt}.so.13 "$packages/cu13/lib/"
  ln -s "$stand_ins"/libcudnn.so.9 "$packages/cudnn/lib/"
  env -i VIRTUAL_ENV="$work/venv" CONVOY_CUDA_LIBS="$packages/cu13/lib:$packages/cudnn/lib" "$moved/bin/convoy" \
    doctor >"$work/log"
  grep -q 'cuda *usable: ' "$work/log" || { cat "$work/log"; fail "CUDA's libraries by CONVOY_CUDA_LIBS"; }
  [[ $(env -i CONVOY_CUDA_LIBS="$packages/cu13/lib:$packages/cudnn/lib" "$moved/bin/convoy" doctor --library-path) == \
    "$packages/cu13/lib:$packages/cudnn/lib"* ]] || fail "doctor --library-path does not name the folders"

  # Another than the one that was named is not taken, even if there is one.
  mkdir "$work/broken"
  echo "no library" >"$work/broken/libcudnn.so.9"
  ! env -i HOME="$HOME" PATH="$PATH" CONVOY_CUDA_LIBS="$work/broken" "$moved/bin/convoy" gradcheck --device cuda \
    2>"$work/log" || fail "a broken cuDNN was taken for a good one"
  grep -q "$work/broken/libcudnn.so.9 cannot be loaded: " "$work/log" ||
    { cat "$work/log"; fail "the error does not name the broken cuDNN"; }

  # A machine without CUDA: wherever there are such libraries here, there is an empty folder.
  mapfile -d : -t folders < <(env -i HOME="$HOME" PATH="$PATH" "$moved/bin/convoy" doctor --library-path | tr -d '\n')
  # shellcheck disable=SC2016  # for the inner shell
  without='program=$1; shift; for folder; do mount -t tmpfs none "$folder" || exit 78; done; exec'
  hides=''
  for folder in "${folders[@]}"; do
    [[ ! -e $folder/libc.so.6 ]] || hides=$folder
  done
  if [[ -n $hides ]]; then
    skip "a machine without CUDA: here its libraries are in $hides with the system's own"
  elif unshare -rm mount -t tmpfs none /mnt 2>/dev/null; then
    env -i PATH="$PATH" unshare -rm bash -c "$without env -i \"\$program\" doctor" _ "$moved/bin/convoy" \
      "${folders[@]}" >"$work/log" || { cat "$work/log"; fail "doctor without CUDA's libraries"; }
    for text in 'libcudnn *libcudnn.so.9: not found' 'libnvrtc *libnvrtc.so.13: not found' \
      'install cuDNN 9 for CUDA 13' 'looked in: .*site-packages/nvidia' 'reference *usable'; do
      grep -q "$text" "$work/log" || { cat "$work/log"; fail "doctor does not say: $text"; }
    done
    # A library that is there and is none.
    env -i PATH="$PATH" CONVOY_CUDA_LIBS="$work/broken" unshare -rm bash -c \
      "$without env -i CONVOY_CUDA_LIBS='$work/broken' \"\$program\" doctor" _ "$moved/bin/convoy" "${folders[@]}" \
      >"$work/log" || { cat "$work/log"; fail "doctor with a broken cuDNN"; }
    grep -q "libcudnn.so.9: $work/broken/libcudnn.so.9 cannot be loaded: " "$work/log" ||
      { cat "$work/log"; fail "doctor does not say why cuDNN cannot be loaded"; }
    # The same machine with Python's packages.
    env -i PATH="$PATH" VIRTUAL_ENV="$work/venv" unshare -rm bash -c "$without \"\$program\" gradcheck --device cuda" _ \
      "$moved/bin/convoy" "${folders[@]}" >"$work/log" || { cat "$work/log"; fail "CUDA in Python's packages"; }
  else
    skip "a machine without CUDA: unshare -rm and mount are not allowed here"
  fi
fi

# The packages, of which the .deb leaves the libraries to the system.
cpack --config "$build/CPackConfig.cmake" -B "$work/packages" >"$work/log" 2>&1 || { cat "$work/log"; fail cpack; }
mkdir "$work/tar" "$work/deb"
tar -C "$work/tar" --strip-components=1 -xzf "$work"/packages/*.tar.gz
works "$work/tar"
complete "$work/tar"
if ! compgen -G "$work/packages/*.deb" >/dev/null; then
  skip "the .deb: its dependencies need dpkg-dev and file when the build is configured"
  exit "$skipped"
fi
dpkg-deb -x "$work"/packages/*.deb "$work/deb"
works "$work/deb/usr"
depends=$(dpkg-deb -f "$work"/packages/*.deb Depends)
[[ $depends == *libc6* && $depends == *libfmt* && $depends != *cuda* && $depends != *cublas* ]] || fail "depends on: $depends"
[[ -z $(find "$work/deb" -name 'libfmt*') ]] || fail "the .deb has the system's libraries"
du -h "$work"/packages/convoy[-_]*.{tar.gz,deb} | sed "s|$work/packages/||"
exit "$skipped"
