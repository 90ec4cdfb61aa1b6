echo "marker: L2 $(sed 's/.*name=\([a-z]*\).*/\1/' /proc/cmdline) is up with $(nproc)"
dmesg | grep -iE 'unchecked MSR|BUG:|Oops|rcu.*stall|WARNING:' | sed 's/^/complaint: /'
read -r word
echo "marker: told to $word"
poweroff -f
