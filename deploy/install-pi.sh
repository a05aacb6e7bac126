#!/bin/bash
# make deploy-pi HOST=user@pi: install Pipit on a Raspberry Pi over SSH, or upgrade it; the same command for both.
#
#   HOST         who and where, as ssh takes it; a user other than root needs sudo
#   NAME         what the trainer shall call this Pi (the host's name up to its first dot)
#   SSH_OPTIONS  for ssh and scp, for example "-p 2222 -i key"
#   WHEELHOUSE=1 fetch the Pi's packages here and carry them over: the Pi needs no internet
# The Pi's host key must be known to ssh already: connect once by hand and compare it.
set -euo pipefail
cd "$(dirname "$0")/.."
for program in ssh ssh-keygen; do
  command -v $program >/dev/null || { echo "deploy: there is no $program here (Debian: apt install openssh-client)" >&2; exit 1; }
done
host=${1:?say which Pi: deploy/install-pi.sh pi@raspberrypi.local}
bare=${host#*@}
name=${NAME:-${bare%%.*}}
bin=${BIN:-.venv/bin}
read -ra options <<<"${SSH_OPTIONS:-}"
on_pi() { ssh -o StrictHostKeyChecking=yes -o BatchMode=yes "${options[@]}" "$host" "$@"; }
state=$("$bin/python" -c 'from shared.config import environ; from trainer.config import load_settings; print(load_settings(None, environ(), {}).state_dir.expanduser())')

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
parcel=$work/pipit-deploy
mkdir "$parcel"

# What is this machine?
read -r machine python sudo < <(on_pi 'printf "%s %s %s\n" "$(uname -m)" "$(/usr/bin/python3 -c "import sys; print(*sys.version_info[:3], sep=chr(46))" 2>/dev/null || echo none)" "$([ "$(id -u)" = 0 ] && echo root || echo sudo)"')
case $machine in aarch64 | x86_64) ;; *) echo "$host is $machine; Pipit needs a 64-bit system (aarch64): numpy has no 32-bit wheels" >&2; exit 1 ;; esac
case $python in 3.1[1-9].*) ;; *) echo "$host has Python $python; Pipit needs 3.11 or newer: apt install python3 python3-venv" >&2; exit 1 ;; esac
echo "laptop: $host is $machine with Python $python"

# The parcel: the program as a wheel, the lock, the units, and the public halves of two keys.
# The same sources give the same wheel, byte for byte: the Pi then sees that there is nothing to change.
SOURCE_DATE_EPOCH=1600000000 "$bin/python" -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w "$parcel" . 2>&1 | { grep -v 'is ignored' || true; }
rm -rf build
cp requirements-inference.lock "$parcel/requirements.lock"
cp deploy/systemd/pipit-inference.service deploy/systemd/pipit-inference-web.service deploy/systemd/sshd-pipit.conf "$parcel"
cp deploy/pi/install.sh deploy/pi/prune.sh deploy/pi/uninstall.sh deploy/pi/pipit-inference deploy/pi/pipit.env "$parcel"
if [ "${WHEELHOUSE:-}" = 1 ]; then
  platforms=()
  for tag in manylinux_2_36 manylinux_2_34 manylinux_2_28 manylinux_2_27 manylinux_2_26 manylinux_2_17 manylinux2014; do platforms+=(--platform "${tag}_$machine"); done
  "$bin/python" deploy/pick_lock.py requirements-inference.lock "$python" "$machine" >"$work/wanted.lock"
  "$bin/python" -m pip download -q --disable-pip-version-check --require-hashes --only-binary :all: --no-deps --python-version "${python%.*}" \
    "${platforms[@]}" -r "$work/wanted.lock" -d "$parcel/wheelhouse" 2>&1 | { grep -v 'is ignored' || true; }
fi
"$bin/pipit-trainer" keys init >/dev/null
"$bin/pipit-trainer" keys show --json | "$bin/python" -c 'import json, sys; print(json.load(sys.stdin)["allowed_signers"])' >"$parcel/allowed_signers"
sftp_key=$state/sftp_key
[ -e "$sftp_key" ] || ssh-keygen -q -t ed25519 -N '' -C "pipit sftp from $(hostname)" -f "$sftp_key"
cp "$sftp_key.pub" "$parcel/sftp_key.pub"

# shellcheck disable=SC2016  # expanded on the Pi
tar -C "$work" -czf - pipit-deploy | on_pi 'rm -rf "$HOME/.pipit-deploy" && mkdir "$HOME/.pipit-deploy" && tar -xzf - -C "$HOME/.pipit-deploy" --strip-components 1'
run='sh "$HOME/.pipit-deploy/install.sh" && rm -rf "$HOME/.pipit-deploy"'
if [ "$sudo" = root ]; then
  on_pi "$run" | tee "$work/said"
else # sudo may ask for a password
  ssh -t -o StrictHostKeyChecking=yes "${options[@]}" "$host" "sudo $run" | tee "$work/said"
fi

# The trainer learns where the Pi is; its host key came over the connection that ssh has just checked.
read -r type key _ < <(on_pi 'cat /etc/ssh/ssh_host_ed25519_key.pub')
target=$(ssh -G "${options[@]}" "$host" 2>/dev/null | awk '$1 == "hostname" {h = $2} $1 == "port" {p = $2} END {print h, p}')
address=${target% *} port=${target#* }
known=$state/known_hosts.$name
[ "$port" = 22 ] && echo "$address $type $key" >"$known" || echo "[$address]:$port $type $key" >"$known"
"$bin/pipit-trainer" targets add "$name" "sftp://pi-models@$address:$port/inbox" --identity "$sftp_key" --known-hosts "$known"

bind=$(tr -d '\r' <"$work/said" | sed -n 's/^pi: pages: //p')
echo
case $bind in
  127.* | localhost:* | "") echo "The pages are on the Pi alone. From here: ssh -L 8000:${bind:-127.0.0.1:8000} $host    then http://127.0.0.1:8000/" ;;
  *) echo "The pages: http://$address:${bind##*:}/" ;;
esac
echo "Ship a model: $bin/pipit-trainer ship latest --to $name --wait"
