mount -t ext4 -o ro /dev/vda /mnt || exit 1
umount /proc /sys /dev
exec /bin/busybox switch_root /mnt /sbin/init
