#!/bin/sh
# make_pages.sh DOXYGEN FOLDER, run in the project's root: makes the pages of the public headers, FOLDER/html/index.html.
# Fails on any warning, as on a member of a public header without a comment.
set -e
mkdir -p "$2"
version=$(sed -n 's/^#define CONVOY_VERSION_[MP][A-Z]* //p' include/convoy/version.h | paste -s -d .)
(cat docs/Doxyfile; echo "OUTPUT_DIRECTORY = \"$2\""; echo "PROJECT_NUMBER = $version") | "$1" -
