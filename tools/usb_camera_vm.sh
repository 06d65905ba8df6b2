#!/bin/bash
# usb_camera_vm.sh CACHE_DIR COMMAND [ARG ...]
#
# Runs COMMAND as root in a small emulated machine that has a real V4L2 camera, /dev/video0 (the kernel's vivid
# driver), so that the USB source can be tested where no camera and no kernel module can be had. The guest sees this
# machine's files, read-only, at their own paths; HOME and TMPDIR (/run) are its own. Exit status is COMMAND's.
#
# In the guest, `v4l2-ctl -c disconnect=1` unplugs the camera, `v4l2-ctl -c percentage_of_dropped_buffers=100` freezes
# it. A run takes about 20 s. Needs Debian's qemu-system-x86, busybox-static, cpio, kmod and v4l-utils; the first run
# downloads a linux-image package into CACHE_DIR. VM_TIMEOUT_S (300) and VM_MB (2000) bound the guest. VM_DISK names an
# image of an ext4 file system that the guest may write to, at /run/disk: what it has not flushed is lost with its power.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
cache=$(realpath -m "$1")
shift
mkdir -p "$cache"

build_kernel() { # a kernel and the modules that a camera and a shared folder need
    local work=$1 package version module path
    cd "$work"
    package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-/ {print $2; exit}')
    apt-get download -q "$package" >/dev/null
    dpkg-deb -x "$package"_*.deb unpacked
    version=$(ls unpacked/lib/modules)
    depmod -b unpacked "$version"
    mkdir -p root/{bin,proc,sys,dev,mnt,modules}
    cp /bin/busybox root/bin/
    for module in sh mount insmod chroot poweroff; do ln -s busybox "root/bin/$module"; done
    for module in virtio_pci 9pnet_virtio 9p vivid virtio_blk crc32c_generic ext4; do
        modprobe -d "$PWD/unpacked" -S "$version" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
    done | awk '!seen[$0]++' | while read -r path; do
        cp "$path" root/modules/
        basename "$path" >>root/modules/order
    done
    mv "unpacked/boot/vmlinuz-$version" vmlinuz
    mv root vmlinuz "$cache/"
    cd "$cache"
}

run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
[ -e "$cache/vmlinuz" ] && grep -qs ext4 "$cache/root/modules/order" || { rm -rf "$cache/root"; build_kernel "$run"; }

cp -a "$cache/root" "$run/root"
{ # what the guest does once it sees the host's files
    echo 'export HOME=/run TMPDIR=/run PATH=/usr/local/bin:/usr/bin:/bin; cd /run'
    printf '%q ' "$@"
    echo
    echo 'echo "guest-exit $?"'
} >"$run/root/job"
cat >"$run/root/init" <<'INIT'
#!/bin/sh
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r module; do
    case $module in
        vivid.ko*) insmod "/modules/$module" n_devs=1 node_types=0x1 num_inputs=1 input_types=0x00 ;;
        *) insmod "/modules/$module" ;;
    esac
done </modules/order
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose host /mnt
mount -t devtmpfs dev /mnt/dev; mount -t proc proc /mnt/proc; mount -t sysfs sys /mnt/sys
job=$(busybox cat /job)
mount -t tmpfs tmp /mnt/run
[ -e /dev/vda ] && busybox mkdir /mnt/run/disk && mount -t ext4 /dev/vda /mnt/run/disk
chroot /mnt /bin/sh -c "$job"
poweroff -f
INIT
chmod +x "$run/root/init"
(cd "$run/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$run/initrd.gz"

disk=()
[ -z "${VM_DISK:-}" ] || disk=(-drive "file=$VM_DISK,format=raw,if=virtio")
timeout "${VM_TIMEOUT_S:-300}" qemu-system-x86_64 -accel tcg -cpu max -M q35 -m "${VM_MB:-2000}" -nographic -no-reboot \
    -nic none -kernel "$cache/vmlinuz" -initrd "$run/initrd.gz" -append 'console=ttyS0 quiet panic=-1' \
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap "${disk[@]}" </dev/null | tr -d '\r' >"$run/out" || true
grep -v guest-exit "$run/out" || true
status=$(sed -n 's/.*guest-exit \([0-9]*\).*/\1/p' "$run/out" | tail -1)
[ -n "$status" ] || echo "the guest ended before the command did" >&2
exit "${status:-1}"
