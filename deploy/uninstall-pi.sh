#!/bin/bash
# make undeploy-pi HOST=user@pi: remove the programs from a Pi; its state, settings and models stay unless PURGE=1.
set -euo pipefail
cd "$(dirname "$0")/.."
host=${1:?say which Pi: deploy/uninstall-pi.sh pi@raspberrypi.local}
read -ra options <<<"${SSH_OPTIONS:-}"
run="env PURGE=${PURGE:-} sh -s"
if [ "$(ssh -o StrictHostKeyChecking=yes "${options[@]}" "$host" id -u)" = 0 ]; then
  ssh -o StrictHostKeyChecking=yes "${options[@]}" "$host" "$run" <deploy/pi/uninstall.sh
else # sudo may ask for a password, so the script cannot come over stdin
  ssh -t -o StrictHostKeyChecking=yes "${options[@]}" "$host" "sudo env PURGE=${PURGE:-} sh -c $(printf %q "$(cat deploy/pi/uninstall.sh)")"
fi
