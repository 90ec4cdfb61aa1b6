# Xen's control domain: its daemons, then a PVH guest of Debian's kernel, whose
# console xenconsoled writes to a file; the guest switches itself off.
mkdir -p /run/xen /run/xenstored /etc/xen /dev/pts /var/lib/xen /var/lib/xenstored /var/log/xen /var/lock
ln -s /run /var/run
: >/etc/xen/xl.conf
mount -t devpts none /dev/pts
mount -t xenfs none /proc/xen
PATH=$PATH:$(echo /usr/lib/xen-*/bin)
xenstored --pid-file /run/xenstored.pid
xen-init-dom0
xenconsoled --log=guest --log-dir=/tmp
cat >/tmp/l2.cfg <<END
name = "l2"
type = "pvh"
kernel = "/f/vmlinuz"
ramdisk = "/f/l2.img"
extra = "console=hvc0 panic=-1 quiet"
memory = 192
vcpus = $(sed -n 's/.*\bcpus=\([^ ]*\).*/\1/p' /proc/cmdline)
END
xl create /tmp/l2.cfg && echo "marker: L2 created"
for i in $(seq 100); do
	xl list l2 >/dev/null 2>&1 || break
	sleep 0.5
done
xl list l2 >/dev/null 2>&1 || echo "marker: L2 has ended"
cat /tmp/guest-l2.log
dmesg | grep -iE 'BUG:|Oops|rcu.*stall|WARNING:' | sed 's/^/complaint: /'
