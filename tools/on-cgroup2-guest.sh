#!/bin/bash
# The first process of the machine that on-cgroup2.sh starts: makes it fit to run the command in
# /mnt/command as WHO, in FOLDER, and tells its exit code on the second serial line.
set -u
who=$1
folder=$2

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
# The disk itself, not the overlay: a store links files, and an overlay copies what it links.
mkdir -m 1777 /mnt/tmp
mount -o bind /mnt/tmp /tmp
ip link set lo up
hostname cgroup2
stty -F /dev/ttyS0 -onlcr
exec </dev/null >/dev/ttyS0 2>&1

# As systemd lays groups out: none that holds groups holds processes, and only what is delegated may be
# changed by who was put there (https://systemd.io/CGROUP_DELEGATION).
groups=/sys/fs/cgroup
divide() { echo '+cpu +memory +pids' >"$1/cgroup.subtree_control"; }
delegate() { chown 1000:1000 "$1" "$1"/cgroup.{procs,threads,subtree_control}; }
mount -t cgroup2 -o nsdelegate cgroup2 $groups
divide $groups
mkdir -p $groups/{init.scope,system.slice,user.slice/user-1000.slice}
echo $$ >$groups/init.scope/cgroup.procs
divide $groups/system.slice
divide $groups/user.slice
divide $groups/user.slice/user-1000.slice
user=1000
case $who in
  root)
    user=0
    own=$groups/system.slice/command.service
    mkdir $own
    ;;
  service)
    own=$groups/system.slice/command.service
    mkdir $own
    delegate $own
    ;;
  user)
    manager=$groups/user.slice/user-1000.slice/user@1000.service
    own=$manager/app.slice/run-1.scope
    mkdir -p $own
    divide $manager
    divide $manager/app.slice
    for group in $manager $manager/app.slice $own; do delegate $group; done
    ;;
  session)
    own=$groups/user.slice/user-1000.slice/session-1.scope
    mkdir $own
    ;;
esac

export HOME=/tmp/home TMPDIR=/tmp PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
mkdir $HOME
chown $user:$user $HOME
(
  echo 0 >"$own/cgroup.procs"
  cd "$folder" || exit 126
  exec setpriv --reuid=$user --regid=$user --clear-groups /bin/bash -c "exec $(cat /mnt/command)"
) | cat # so that the command takes what it writes to for no terminal
echo "exit code ${PIPESTATUS[0]}" >/dev/ttyS1
busybox poweroff -f
