ls /sys/block
mount -t ext4 /dev/vda /mnt && echo "mounted: $(cat /mnt/hello)"
i=0; while [ $i -lt 50 ]; do echo "line $i" >>/mnt/written; i=$((i + 1)); done
dd if=/dev/zero of=/mnt/big bs=64k count=64 2>/dev/null
sync; wc -l /mnt/written
umount /mnt && echo "marker: unmounted"
grep virtio /proc/interrupts
