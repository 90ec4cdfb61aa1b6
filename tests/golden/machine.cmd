info devices
info memory
info cpu
info nope
console 1
type hello\n
console
expect hello 1
events
hash
log
help walk
quit 3
