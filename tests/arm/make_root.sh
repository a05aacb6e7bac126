#!/bin/bash
# make_root.sh FOLDER LOCK: an arm64 Python with the Pi's packages, and the emulator to run it with:
#   PYTHONPATH=FOLDER/site FOLDER/qemu-aarch64-static -L FOLDER/root FOLDER/root/usr/bin/python3.11 script.py
# From this machine's own Debian sources, with an apt state of its own: no root, no chroot, no binfmt, nothing installed. What is there
# already is kept.
set -euo pipefail
folder=$(realpath -m "$1") lock=$(realpath "$2")
uv=$(realpath "$(command -v "${UV:-uv}")")
if [ ! -e "$folder/root/.complete" ]; then
  rm -rf "$folder/root" "$folder/apt"
  mkdir -p "$folder"/apt/{lists/partial,archives/partial,etc} "$folder/root"
  cd "$folder"
  options=(-o Dir::State="$folder/apt" -o Dir::State::lists="$folder/apt/lists" -o Dir::Cache="$folder/apt" -o Dir::Cache::archives="$folder/apt/archives"
    -o Dir::State::status=/dev/null -o APT::Sandbox::User= -o Dir::Etc::Parts=/dev/null -o Acquire::Languages=none -o APT::Install-Recommends=false
    -o DPkg::Post-Invoke= -o APT::Update::Post-Invoke= -o Debug::NoLocking=1)
  arm=("${options[@]}" -o APT::Architecture=arm64 -o APT::Architectures=arm64)
  apt-get "${arm[@]}" -qq update
  apt-get "${arm[@]}" -qq -y --download-only install python3.11-minimal libpython3.11-stdlib libgomp1 libstdc++6 ca-certificates coreutils dash >/dev/null
  for package in apt/archives/*.deb; do dpkg -x "$package" root; done
  if emulator=$(command -v qemu-aarch64-static); then
    cp "$emulator" qemu-aarch64-static
  else
    mkdir -p q
    (cd q && apt-get -qq -o APT::Sandbox::User= download qemu-user-static && dpkg --fsys-tarfile qemu-user-static_*.deb | tar -xf - ./usr/bin/qemu-aarch64-static && mv usr/bin/qemu-aarch64-static ..)
  fi
  rm -rf q apt
  touch root/.complete
fi
sum=$(sha256sum "$lock" | cut -c1-16)
if [ ! -e "$folder/site/.$sum" ]; then
  rm -rf "$folder/site"
  "$uv" pip install -q --python-platform aarch64-manylinux_2_28 --python-version 3.11 --only-binary :all: --require-hashes --target "$folder/site" -r "$lock"
  touch "$folder/site/.$sum"
fi
