ls /dev/kvm
/f/kvmtry entry
echo "marker: kvmtry ended with $?"
/f/kvmboot /f/vmlinuz /f/l2.img "console=ttyS0 reboot=k panic=-1 quiet"
