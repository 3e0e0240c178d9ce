#!/bin/sh
# check_documented.sh DOXYGEN FOLDER, run in the project's root: makes the reference in FOLDER. Fails if a member of a public
# header has no comment.
(cat docs/Doxyfile; echo "OUTPUT_DIRECTORY = \"$2\"") | "$1" -
