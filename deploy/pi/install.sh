#!/bin/sh
# The Pi's half of `make deploy-pi`: run by root in the folder that was copied here. Installs, or upgrades beside the running
# release and swaps when the new one works. Running it again with the same files changes nothing.
#   install.sh [KEEP]     KEEP: how many releases stay (2)
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
keep=${1:-2}
say() { printf '%s\n' "pi: $*"; }
die() { printf '%s\n' "pi: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "run as root"
# The system's own Python: one in somebody's home folder could not be run by the service's user.
python=/usr/bin/python3
[ -x $python ] || die "there is no $python: apt install python3 python3-venv"
$python - <<'PY' || die "needs a 64-bit system and Python 3.11 or newer with venv (apt install python3-venv)"
import struct, sys, ensurepip, venv
sys.exit(sys.version_info < (3, 11) or struct.calcsize("P") != 8)
PY
command -v sshd >/dev/null || [ -x /usr/sbin/sshd ] || die "there is no SSH server: apt install openssh-server"

# --- users and folders ---------------------------------------------------------------------------------------------
nologin=$(command -v nologin || echo /usr/sbin/nologin)
for user in pipit pi-models; do
  id "$user" >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir / --shell "$nologin" "$user"
done
usermod -p '*' pi-models     # no password, but not locked either: sshd lets no key into a locked account
install -d -m 755 -o root -g root /opt/pipit /opt/pipit/releases /etc/pipit /srv/pipit
install -d -m 755 -o pi-models -g pi-models /srv/pipit/inbox /srv/pipit/inbox/incoming
install -d -m 755 -o pipit -g pipit /srv/pipit/receipts
install -d -m 700 -o pipit -g pipit /var/lib/pipit

# --- keys and settings: added to, never replaced -------------------------------------------------------------------
add_line() { # FILE LINE: the line once
  touch "$1"
  chmod 644 "$1"
  grep -qxF -- "$2" "$1" || { printf '%s\n' "$2" >>"$1"; say "added a key to $1"; }
}
add_line /etc/pipit/allowed_signers "$(cat "$here/allowed_signers")"
add_line /etc/pipit/sftp_authorized_keys "restrict $(cat "$here/sftp_key.pub")"
[ -e /etc/pipit/pipit.env ] || install -m 600 "$here/pipit.env" /etc/pipit/pipit.env

# --- the release, in a folder of its own ---------------------------------------------------------------------------
release=/opt/pipit/releases/$(cat "$here"/*.whl "$here/requirements.lock" | sha256sum | cut -c1-12)-py$($python -c 'import sys; print("%d%d" % sys.version_info[:2])')
if [ ! -e "$release/.complete" ]; then
  say "installing into $release"
  rm -rf "$release"
  $python -m venv "$release"
  from=
  [ -d "$here/wheelhouse" ] && from="--no-index --find-links $here/wheelhouse"
  # shellcheck disable=SC2086  # two words on purpose
  "$release/bin/python" -m pip install -q --disable-pip-version-check --no-compile --require-hashes --only-binary :all: $from -r "$here/requirements.lock"
  "$release/bin/python" -m pip install -q --disable-pip-version-check --no-compile --no-index --no-deps "$here"/*.whl
  "$release/bin/python" -m pip uninstall -q -y pip setuptools 2>/dev/null || true   # 15 MB that nothing here uses
  sh "$here/prune.sh" "$release"/lib/python3*/site-packages
  # Bytecode of what really runs is written by importing it once; the service itself may not write here.
  imports='import inference.daemon, inference.postgres, inference.probe, inference.watch, inference.web.app, shared.judge, gunicorn.workers.gthread'
  (cd / && env -u PYTHONDONTWRITEBYTECODE "$release/bin/python" -c "$imports") &&
    "$release/bin/pipit-inference" --version >/dev/null || die "the new release does not start; the old one was not touched"
  touch "$release/.complete"
fi

# --- the service ---------------------------------------------------------------------------------------------------
before=$(readlink /opt/pipit/current || true)
changed=no
put() { # FILE PLACE: copied when different
  cmp -s "$1" "$2" || { install -D -m 644 "$1" "$2"; changed=yes; say "wrote $2"; }
}
put "$here/pipit-inference" /usr/local/sbin/pipit-inference
chmod 755 /usr/local/sbin/pipit-inference
put "$here/pipit-inference.service" /etc/systemd/system/pipit-inference.service
put "$here/pipit-inference-web.service" /etc/systemd/system/pipit-inference-web.service
if ! cmp -s "$here/sshd-pipit.conf" /etc/ssh/sshd_config.d/60-pipit.conf; then
  grep -qi '^ *Include */etc/ssh/sshd_config.d' /etc/ssh/sshd_config || die "/etc/ssh/sshd_config does not include sshd_config.d: add 'Include /etc/ssh/sshd_config.d/*.conf' at its top"
  put "$here/sshd-pipit.conf" /etc/ssh/sshd_config.d/60-pipit.conf
  "$(command -v sshd || echo /usr/sbin/sshd)" -t || { rm /etc/ssh/sshd_config.d/60-pipit.conf; die "sshd does not take its new settings; they were taken back"; }
  systemctl reload ssh
fi
swap() { ln -sfn "$1" /opt/pipit/.current && mv -T /opt/pipit/.current /opt/pipit/current; }
start() {
  systemctl daemon-reload && systemctl enable -q pipit-inference pipit-inference-web && systemctl restart pipit-inference pipit-inference-web &&
    systemctl is-active -q pipit-inference pipit-inference-web
}
if [ "$before" != "$release" ] || [ $changed = yes ] || ! systemctl is-active -q pipit-inference pipit-inference-web; then
  swap "$release"
  if ! start; then
    [ -n "$before" ] && [ "$before" != "$release" ] || die "the service does not start: journalctl -u pipit-inference"
    swap "$before"
    start || true
    die "the new release does not start, so $before serves again: journalctl -u pipit-inference"
  fi
  say "serving from $release"
else
  say "nothing to change: $release serves"
fi
# Older releases go; the one before this stays, for going back by hand.
[ "$before" = "$release" ] || [ -z "$before" ] || touch "$before"
find /opt/pipit/releases -mindepth 1 -maxdepth 1 -printf '%T@ %p\n' | sort -rn | cut -d' ' -f2 | grep -vx "$release" | tail -n +"$keep" | xargs -r rm -rf

# --- for the one who deployed --------------------------------------------------------------------------------------
/usr/local/sbin/pipit-inference check || say "put right what is wrong above"
n=0
while [ ! -e /var/lib/pipit/web/setup-token ] && [ ! -e /var/lib/pipit/web/password ] && [ $n -lt 30 ]; do sleep 1; n=$((n + 1)); done
if [ -e /var/lib/pipit/web/setup-token ]; then
  say "one-time set-up token: $(cat /var/lib/pipit/web/setup-token)"
elif [ ! -e /var/lib/pipit/web/password ]; then
  say "the pages have not come up: journalctl -u pipit-inference-web says why"
fi
bind=$(sed -n 's/^ *INFERENCE_BIND *= *//p' /etc/pipit/pipit.env | tail -1)
say "pages: ${bind:-127.0.0.1:8000}"
