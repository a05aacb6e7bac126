#!/bin/sh
# prune.sh SITE: takes out of installed packages what no service ever opens (tests, headers, stubs, a Fortran tool,
# colours for 500 languages but Python): 13 MB of a Pi's card.
set -eu
site=${1:?which site-packages folder?}
find "$site" -depth -type d -name tests -exec rm -rf {} +
rm -rf "$site/numpy/f2py"
find "$site" -type f \( -name '*.pyi' -o -name '*.a' -o -name '*.h' -o -name '*.c' -o -name '*.pxd' -o -name '*.pyx' \) -delete
[ ! -d "$site/pygments/lexers" ] || find "$site/pygments/lexers" -name '*.py' ! -name __init__.py ! -name _mapping.py ! -name python.py ! -name special.py -delete
