echo "marker: L2 is up with $(nproc) under $(cat /sys/hypervisor/type)"
dmesg | grep -iE 'unchecked MSR|BUG:|Oops|rcu.*stall|WARNING:' | sed 's/^/complaint: /'
