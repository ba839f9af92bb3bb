#!/bin/bash
# Runs a command of this checkout in a virtual machine whose only cgroups are of version 2, for
# machines that still have version 1:
#
#   tools/on-cgroup2.sh [--as root|service|user|session] COMMAND [ARGUMENT …]
#
# The machine runs Debian's own kernel and shows this machine's files, except /tmp; what it writes goes
# to a disk that is thrown away. Output and exit code are the command's. It runs where systemd puts
# a program of root, of user 1000 in a service with `Delegate=yes`, of one started by the user's own
# manager (a desktop, `systemd-run --user --scope`), or of one that logged in (by ssh). By KVM where
# that works, else in software, ten to thirty times slower, with one processor. VM_CPUS and VM_MEMORY
# (MiB) size it; VM_KERNEL names a folder with the boot/ and lib/ of another kernel.
set -euo pipefail

export PATH=$PATH:/usr/sbin:/sbin
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/builder-cgroup2
kernel=${VM_KERNEL:-$cache/kernel}

refuse() {
  echo "$1" >&2
  exit 3
}

who=root
if [ "${1:-}" = --as ]; then
  who=${2:-}
  shift 2 || true
fi
case $who in root | service | user | session) ;; *) set -- ;; esac
if [ $# = 0 ]; then
  sed -n '5s/^# *//p' "$0" >&2
  exit 2
fi

packages=()
while read -r program package; do
  command -v "$program" >/dev/null || packages+=("$package")
done <<<'qemu-system-x86_64 qemu-system-x86
busybox busybox-static
cpio cpio
xz xz-utils
mkfs.ext4 e2fsprogs'
[ ${#packages[@]} = 0 ] ||
  refuse "A virtual machine wants: apt-get install --no-install-recommends ${packages[*]}"

# Debian's kernel is unpacked, not installed: this machine's own start is left alone.
fetch_kernel() {
  local package folder
  package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: //p' | head -1)
  [ -n "$package" ] ||
    refuse "apt knows no linux-image-amd64 (is this Debian, was apt-get update run?): set VM_KERNEL."
  folder=$(mktemp -d "$cache/kernel-XXXXXX")
  (cd "$folder" && apt-get download -qq "$package" >/dev/null 2>&1 && dpkg -x ./*.deb . && rm ./*.deb) ||
    refuse "apt-get download $package failed: is there a network, was apt-get update run?"
  mv -T "$folder" "$kernel"
}
mkdir -p "$cache"
[ -d "$kernel/boot" ] || fetch_kernel
image=$(compgen -G "$kernel/boot/vmlinuz-*" | head -1) || refuse "$kernel/boot has no vmlinuz-*."
version=${image##*/vmlinuz-}
modules=$kernel/lib/modules/$version
[ -e "$modules/modules.dep" ] || busybox depmod -b "$kernel" "$version"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The first file tree: busybox, the modules for a disk, for this machine's files and for an overlay of
# both, each after what it needs, and the command.
tree=$work/tree
mkdir -p "$tree"/{bin,modules,proc,dev,lower,disk,root}
cp "$(command -v busybox)" "$tree/bin/busybox"
for name in virtio_pci virtio_blk 9pnet_virtio 9p crc32c_generic ext4 overlay; do
  line=$(grep -m1 -E "(^|/)$name\.ko[^:/]*:" "$modules/modules.dep") || continue # built in
  module=${line%%:*}
  # modules.dep names the nearest first.
  for path in $(tr ' ' '\n' <<<"${line#*:}" | tac) "$module"; do
    case $path in *.xz) xz -dc "$modules/$path" ;; *) cat "$modules/$path" ;; esac \
      >"$tree/modules/$(basename "${path%.xz}")"
    basename "${path%.xz}" >>"$work/order"
  done
done
awk '!seen[$0]++' "$work/order" >"$tree/modules/order"
printf '%q ' "$@" >"$tree/command"
cat >"$tree/init" <<INIT
#!/bin/busybox sh
set -e
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
while read -r module; do busybox insmod "/modules/\$module"; done </modules/order
busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro host /lower
busybox mount -t ext4 -o noatime /dev/vda /disk
busybox mkdir -p /disk/upper /disk/work
busybox mount -t overlay -o lowerdir=/lower,upperdir=/disk/upper,workdir=/disk/work overlay /root
busybox mount -o bind /disk /root/mnt
busybox cp /command /root/mnt/command
busybox umount /proc /dev
exec busybox switch_root /root /bin/bash $(printf %q "$root/tools/on-cgroup2-guest.sh") $who $(printf %q "$PWD")
INIT
chmod +x "$tree/init"
(cd "$tree" && find . | cpio --quiet -o -H newc) >"$work/initramfs"
truncate -s 16G "$work/disk"
mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=1 "$work/disk"

# A nested machine may have /dev/kvm and yet not be able to start a kernel that does not know so.
# Without KVM the machine's clock goes by what it executes, a nanosecond for an instruction: deadlines
# do not see how slow that is, nor what else is done here. That wants one processor.
pace=(-accel tcg -icount "shift=0,sleep=on" -smp 1)
if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
  pace=(-accel kvm -smp "${VM_CPUS:-2}")
fi
qemu-system-x86_64 -machine q35 "${pace[@]}" -cpu max \
  -m "${VM_MEMORY:-4096}" -display none -nodefaults -no-reboot \
  -kernel "$image" -initrd "$work/initramfs" \
  -append "console=ttyS1 loglevel=4 panic=-1 mitigations=off random.trust_cpu=on" \
  -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
  -device virtio-9p-pci,fsdev=host,mount_tag=host \
  -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
  -serial stdio -serial "file:$work/console" </dev/null
code=$(sed -n 's/^exit code \([0-9]*\)\r*$/\1/p' "$work/console")
[ -n "$code" ] || refuse "The machine ended before the command did: $(tail -20 "$work/console")"
exit "$code"
