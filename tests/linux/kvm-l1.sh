ls -l /dev/kvm || mknod /dev/kvm c 10 232
grep -q vmx /proc/cpuinfo && echo "marker: L1 has VMX"
cat /sys/module/kvm_intel/parameters/ept
/f/kvmboot /f/vmlinuz /f/l2.img "console=ttyS0 reboot=k panic=-1"
echo "marker: kvmboot ended with $?"
