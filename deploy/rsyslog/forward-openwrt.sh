#!/bin/sh
# For an OpenWrt access point: send its log to the machine that collects.   sh forward-openwrt.sh ADDRESS [PORT]
# TCP, because UDP loses lines when many come at once. OpenWrt keeps no queue: what it logs while the collector is away is lost.
set -eu
address=${1:?say where to: sh forward-openwrt.sh ADDRESS [PORT]}
uci set system.@system[0].log_ip="$address"
uci set system.@system[0].log_port="${2:-514}"
uci set system.@system[0].log_proto='tcp'
uci set system.@system[0].log_hostname="$(uci get system.@system[0].hostname)"
uci commit system
/etc/init.d/log restart
logger -t pipit "log forwarding to $address is on"
