echo "marker: shell"
grep -E '^(processor|model name|flags)' /proc/cpuinfo
i=0
while [ $i -lt 1000 ]; do i=$((i + 1)); done
echo "loop: $i"
dmesg | grep -iE 'tsc|isolation|unknown|msr|unchecked' | sed 's/^/log: /'
