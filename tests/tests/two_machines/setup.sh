# Makes a machine of this network namespace, and goes on as its shell: setup.sh FOLDER PROGRAMS DEPLOY
set -eu
folder=$1 programs=$2 deploy=$3
# What is mounted from here on is seen by this shell and its children alone.
if [ -z "${FERRYWAY_MOUNTS:-}" ]; then
    FERRYWAY_MOUNTS=own exec unshare --mount --propagation private bash "$0" "$@"
fi
mkdir -p "$folder"/{bin,etc,lib,log,work}
# The whole /etc, so that names and users are what they are, and what is added is this machine's.
cp -a --no-preserve=ownership /etc/. "$folder/etc/" 2>/dev/null || true
mount --bind "$folder/etc" /etc
mkdir -p /etc/systemd/system
mount --bind "$folder/bin" /usr/local/bin
mount --bind "$folder/lib" /var/lib
# As an unpacked release: the programs, and deploy/.
ln -s "$programs"/ferryway "$programs"/ferryway-control "$programs"/ferryway-gateway "$folder/work/"
ln -s "$deploy" "$folder/work/deploy"
install -m 0755 "$folder/systemctl" /usr/local/bin/systemctl
export MACHINE=$folder
cd "$folder/work"
exec bash
