#!/bin/sh
# make_venv.sh DIR: a virtual environment with pip. Debian keeps the venv module's other half in a package of its own.
set -eu
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "spillwatch needs Python 3.11 or newer; $python is $("$python" -V 2>&1)" >&2; exit 1; }
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  else
    echo "Python's venv module is missing; run as root: apt-get install python3-venv" >&2; exit 1
  fi
fi
[ -x "$1/bin/python" ] && "$1/bin/python" -c 'import pip' 2>/dev/null || "$python" -m venv --clear "$1"
