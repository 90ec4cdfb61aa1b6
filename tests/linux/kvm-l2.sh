echo "marker: L2 is up"
uname -r
reboot -f
