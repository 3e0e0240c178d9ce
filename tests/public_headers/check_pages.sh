#!/bin/sh
# check_pages.sh DOXYGEN FOLDER, run in the project's root: the pages are made without a warning, and have the main page,
# every public header and every example.
set -e
rm -rf "$2"
docs/make_pages.sh "$1" "$2"
lacks() { echo "check_pages: error: the pages have no $*" >&2; exit 1; }
grep -q 'The library' "$2/html/index.html" || lacks "main page"
for header in include/convoy/*.h; do
  name=$(basename "$header" .h | sed 's/_/__/g')
  [ -s "$2/html/${name}_8h.html" ] || lacks "$header"
done
for example in apps/examples/*.cpp; do
  name=$(basename "$example" .cpp)
  grep -q 'int' "$2/html/${name}_8cpp-example.html" || lacks "$example"
done
