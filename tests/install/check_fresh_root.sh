#!/usr/bin/env bash
# check_fresh_root.sh BUILD_DIR: dpkg installs the .deb into a new system that has the packages which it depends on, with
# what these depend on, a shell and ldconfig, and nothing else; there the program computes. The packages' files are those of
# this machine. Exit code 77: this cannot be tried here, and why.
set -euo pipefail
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
skip() { echo "check_fresh_root: skipped: $*"; exit 77; }
fail() { echo "check_fresh_root: error: $*" >&2; exit 1; }

command -v dpkg-deb >/dev/null || skip "there is no dpkg"
grep -q 'CPACK_GENERATOR.*DEB' "$build/CPackConfig.cmake" ||
  skip "there is no .deb: its dependencies need dpkg-dev and file when the build is configured"
# A process that counts as root in its own namespace can change the root folder.
in_root=(unshare --map-root-user --mount)
"${in_root[@]}" chroot / true 2>/dev/null || skip "unshare and chroot are not allowed here"

cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/packages" >"$work/log" 2>&1 || { cat "$work/log"; fail cpack; }
deb=$(compgen -G "$work/packages/*.deb")

# packages_of FIELD: the names in a field of dependencies, the first of alternatives, without versions.
packages_of() { tr ',' '\n' <<<"$1" | sed -E 's/\|.*//; s/\(.*\)//; s/:any//; s/[[:space:]]//g' | grep . || true; }

mapfile -t waiting < <(packages_of "$(dpkg-deb -f "$deb" Depends)")
declare -A needed
while ((${#waiting[@]} > 0)); do
  package=${waiting[0]}
  waiting=("${waiting[@]:1}")
  [[ -z ${needed[$package]:-} ]] || continue
  fields=$(dpkg-query -W -f '${Status}\n${Depends}, ${Pre-Depends}\n' "$package" 2>/dev/null) || continue  # it is virtual
  [[ $fields == "install ok installed"* ]] || continue
  needed[$package]=1
  mapfile -t more < <(packages_of "${fields#*$'\n'}")
  waiting+=("${more[@]}")
done

# The fresh system: folders as Debian has them, the packages' files, and dpkg's word that they are installed.
mkdir -p "$root"/{usr/{bin,sbin,lib,lib64},dev,proc,tmp,etc,var/lib/dpkg/{info,updates,triggers}}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
: >"$root/var/lib/dpkg/available"
for package in "${!needed[@]}"; do
  dpkg-query -s "$package" | sed '/^Conffiles:/,/^[A-Z]/{/^Conffiles:/d;/^ /d}' >>"$root/var/lib/dpkg/status"
  echo >>"$root/var/lib/dpkg/status"
  dpkg-query -L "$package" | while IFS= read -r file; do
    [[ -f $file && $file == *.so* ]] || continue  # libraries: nothing else of them is asked for
    real=/usr${file#/usr}
    mkdir -p "$root${real%/*}"
    cp -a "$file" "$root$real"
  done
done
# Debian's essential packages are in every system; of them the scripts of packages take a shell and ldconfig.
mkdir -p "$root/var/cache/ldconfig"
for file in /bin/dash /sbin/ldconfig /sbin/ldconfig.real; do
  [[ ! -e $file ]] || cp -L "$file" "$root/usr$file"
done
ln -s dash "$root/usr/bin/sh"
echo "the fresh system has $(find "$root" -name '*.so*' | wc -l) libraries of ${#needed[@]} packages"

"${in_root[@]}" dpkg --root="$root" --force-not-root --log="$work/dpkg.log" --install "$deb" >"$work/log" 2>&1 ||
  { cat "$work/log"; fail "dpkg does not install it"; }
[[ $(dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Status}' convoy) == "install ok installed" ]] || fail "dpkg's status"

# inside COMMAND...: there, with an empty environment, and with the kernel's files, which any system has.
inside() {
  # shellcheck disable=SC2016  # for the inner shell
  "${in_root[@]}" sh -c 'root=$1; shift; for folder in proc dev; do mount --rbind "/$folder" "$root/$folder" || exit; done
    program=$(command -v chroot); exec env -i "$program" "$root" "$@"' _ "$root" "$@"
}
version=$(inside /usr/bin/convoy --version) || fail "it does not start: $(inside /usr/bin/convoy --version 2>&1)"
grep -q '^convoy [0-9]' <<<"$version" || fail "its version: $version"
inside /usr/bin/convoy doctor >"$work/log" || { cat "$work/log"; fail doctor; }
inside /usr/bin/convoy recipes >"$work/log" || { cat "$work/log"; fail recipes; }
grep -qx classic "$work/log" || { cat "$work/log"; fail "its recipes are not there"; }
inside /usr/bin/convoy gradcheck >"$work/log" || { cat "$work/log"; fail gradcheck; }
for file in share/man/man1/convoy.1 share/man/man1/convoy-train.1 share/bash-completion/completions/convoy \
  share/zsh/vendor-completions/_convoy share/fish/vendor_completions.d/convoy.fish; do
  [[ -s $root/usr/$file || -s $root/usr/$file.gz ]] || fail "the .deb has no $file"
done
echo "$version"
