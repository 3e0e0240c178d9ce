#!/bin/sh
# run.sh PYTHON SCRIPT [ARGUMENTS...]: runs the script with that Python, or skips the test where there is none.
python=$1
if [ ! -x "$python" ]; then
  echo "skipped: there is no $python; cmake/setup.sh interop makes it"
  exit 77
fi
shift
exec "$python" "$@"
