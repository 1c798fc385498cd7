#!/bin/busybox sh
# The first process of a machine with one disk, on which a journal serves. Its console takes commands: what is below in
# capitals is said for whoever waits for it.
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /data
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module parameters; do insmod "$module" $parameters; done </etc/pact/modules
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
sectors=$(blockdev --getsz /dev/vda)

# The disk, as the file system sees it: what it says is synced is synced, or every write is dropped and said to be done.
honest="0 $sectors linear /dev/vda 0"
lying="0 $sectors flakey /dev/vda 0 0 3600 1 drop_writes"
# Nothing is flushed on the way from one to the other: the file system must not notice.
disk() {
    dmsetup suspend --nolockfs --noflush disk && echo "$1" | dmsetup load disk &&
        dmsetup resume --noudevsync --noudevrules disk && echo "DISK $2"
}
serve() {
    pact-journal "$@" </dev/null
    echo "JOURNAL ENDED WITH $?"
}
stop() {
    kill -TERM "$(pidof pact-journal)"
    while pidof pact-journal >/dev/null; do sleep 0.1; done
    umount /data && echo UNMOUNTED
    poweroff -f
}

echo "$honest" | dmsetup create --noudevsync --noudevrules disk
dmsetup mknodes
if mount -t ext4 /dev/mapper/disk /data; then echo "DISK MOUNTED"; else echo "DISK BROKEN"; fi
# shellcheck disable=SC2086
while read -r command words; do
    case $command in
    lie) disk "$lying" LIES ;;
    stop-lying) disk "$honest" "IS HONEST" ;;
    serve) serve $words & ;;
    stop) stop ;;
    esac
done
