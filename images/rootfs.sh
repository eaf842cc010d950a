#!/bin/sh
# Assembles the root filesystem of the images: rootfs.sh BUNDLE TARGET
#   BUNDLE  folder that bundle.ts wrote
#   TARGET  folder to create
# Runs as root on Debian. The image build runs it, and so does the test that starts programs inside of its result.
set -eu
bundle=$1
target=$2
here=$(cd "$(dirname "$0")/.." && pwd)

# What the Node.js binary is linked with, and what scanners read about it.
packages="libc6 libgcc-s1 libstdc++6"
# Deployments of KServe call /bin/sleep before a scheduler stops.
tools="coreutils"

rm -rf "$target"
mkdir -p "$target/usr/local/bin" "$target/etc" "$target/tmp" "$target/var/lib/dpkg/status.d"
chmod 1777 "$target/tmp"

debs=$(mktemp -d)
trap 'rm -rf "$debs"' EXIT
chmod 755 "$debs"
download() { (cd "$debs" && apt-get -qq -o APT::Sandbox::User=root download $packages $tools); }
# A fresh machine has no package lists, or old ones.
download 2>/dev/null || { apt-get -qq update && download; }
for deb in "$debs"/*.deb; do
  case $deb in */coreutils_*) continue ;; esac
  dpkg-deb --extract "$deb" "$target"
  dpkg-deb --field "$deb" >"$target/var/lib/dpkg/status.d/$(dpkg-deb --field "$deb" Package)"
done
dpkg-deb --fsys-tarfile "$debs"/coreutils_*.deb | tar -x -C "$target" ./bin/sleep
rm -rf "$target/usr/share/doc" "$target/usr/share/lintian" "$target/usr/share/gdb" "$target/usr/share/locale" \
  "$target/usr/lib/$(uname -m)-linux-gnu/gconv" "$target/lib/$(uname -m)-linux-gnu/gconv"

case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) echo "rootfs.sh: no Node.js for $(uname -m)" >&2; exit 1 ;;
esac
install -m 755 "$here/node_modules/node-linux-$arch/bin/node" "$target/usr/local/bin/node"
strip --strip-all "$target/usr/local/bin/node" 2>/dev/null || true

printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$target/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$target/etc/group"
printf 'hosts: files dns\n' >"$target/etc/nsswitch.conf"
cp -a "$bundle/." "$target/"
# What the programs are made of, the runtime included; the Debian packages are in /var/lib/dpkg/status.d.
(cd "$here" && npm sbom --omit dev --sbom-format spdx) >"$target/app/sbom.spdx.json"
chown -R 0:0 "$target"

# Compiled code of the programs, which an image with a read-only root could not keep.
for program in app/epp app/pd-sidecar manager; do
  env -i PATH="$PATH" NODE_COMPILE_CACHE=/app/compiled chroot "$target" "/$program" --help >/dev/null
done
chmod -R a+rX "$target/app"
