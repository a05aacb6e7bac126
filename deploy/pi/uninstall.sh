#!/bin/sh
# The Pi's half of `make undeploy-pi`: stops and removes the programs. State, settings, keys and models stay unless PURGE=1.
set -eu
[ "$(id -u)" = 0 ] || { echo "run as root" >&2; exit 1; }
systemctl disable -q --now pipit-inference-web pipit-inference 2>/dev/null || true
rm -f /usr/local/sbin/pipit-inference /etc/systemd/system/pipit-inference.service /etc/systemd/system/pipit-inference-web.service
systemctl daemon-reload
if [ -e /etc/ssh/sshd_config.d/60-pipit.conf ]; then
  rm /etc/ssh/sshd_config.d/60-pipit.conf
  systemctl reload ssh
fi
rm -rf /opt/pipit
if [ "${PURGE:-}" = 1 ]; then
  rm -rf /var/lib/pipit /srv/pipit /etc/pipit
  for user in pipit pi-models; do userdel "$user" 2>/dev/null || true; done
  echo "pi: everything of Pipit is gone"
else
  echo "pi: programs removed; /var/lib/pipit, /srv/pipit and /etc/pipit stay (PURGE=1 removes them too)"
fi
