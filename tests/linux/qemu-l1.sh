# The L2s named on the command line run at once: each waits, after its marker,
# for a word that is sent when all are up.
mount -t ext4 -o ro /dev/vda /mnt
mount -o bind /dev /mnt/dev
mount -t tmpfs none /mnt/tmp
arg() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
cpus=$(arg cpus)
for name in $(arg names | tr , ' '); do
	mkfifo /tmp/$name
	busybox chroot /mnt /usr/bin/qemu-system-x86_64 -accel kvm -cpu host -smp "$cpus" -m 192 \
		-nodefaults -no-user-config -display none -serial stdio -kernel /f/vmlinuz \
		-initrd /f/l2.img -append "console=ttyS0 panic=-1 quiet name=$name" \
		</tmp/$name >/tmp/$name.out 2>&1 &
	echo $! >/tmp/$name.pid
	sleep 10000 >/tmp/$name &
done
for name in $(arg names | tr , ' '); do
	while ! grep -q '^marker: L2' /tmp/$name.out; do
		[ -d /proc/$(cat /tmp/$name.pid) ] || break
		sleep 0.2
	done
done
echo "marker: running $(ps | grep -c '[q]emu-system')"
for name in $(arg names | tr , ' '); do
	echo end >/tmp/$name
	wait $(cat /tmp/$name.pid)
	echo "marker: qemu $name ended with $?"
	cat /tmp/$name.out
done
dmesg | grep -iE 'unchecked MSR|BUG:|Oops|rcu.*stall|WARNING:|kvm.*error' | sed 's/^/complaint: /'
