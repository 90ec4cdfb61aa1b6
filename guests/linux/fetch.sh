# fetch.sh DIR - the kernel, KVM's modules and busybox for `nestscope linux`,
# by the distribution's tools and by name: DIR/vmlinuz, DIR/busybox, DIR/modules
# with the modules and the order to load them in. Nothing is installed and no
# root is needed. What is missing is said in one line, with exit status 4.
set -e
dir=$1
say() { echo "nestscope: linux: $*" >&2; }
fail() { say "$*"; exit 4; }
mkdir -p "$dir" 2>/dev/null || fail "cannot make $dir; XDG_CACHE_HOME says where the cache is"
for tool in apt-get apt-cache dpkg-deb; do
	command -v $tool >/dev/null ||
		fail "no $tool here: put vmlinuz, busybox and modules/ of another machine's cache into $dir"
done
work=$(mktemp -d "$dir/work.XXXXXX") || fail "cannot write to $dir"
trap 'rm -rf "$work"' EXIT
cd "$work"

get() { # PACKAGE: unpacked under ./PACKAGE
	size=$(apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Size: //p' | head -n 1)
	[ -n "$size" ] || fail "apt knows no package $1 (apt-get update fetches its lists)"
	say "fetching $1 ($((size / 1000000 + 1)) MB)"
	apt-get download -q "$1" >log 2>&1 ||
		fail "cannot fetch $1: $(sed -n 's/^E: //p' log | head -n 1)"
	dpkg-deb -x "$1"_*.deb "$1" 2>log || fail "cannot unpack $1: $(head -n 1 log)"
	rm -f "$1"_*.deb
}
need() { # MODULE: behind what it depends on
	name=$(echo "$1" | sed 's/[-_]/[-_]/g')
	path=$(find "$kernel/lib/modules" "$kernel/usr/lib/modules" -name "$name.ko*" 2>/dev/null | head -n 1)
	[ -n "$path" ] || return 0 # built in
	file=$(basename "${path%.xz}")
	[ ! -e "modules/$file" ] || return 0
	case $path in *.xz) xz -dc "$path" ;; *) cat "$path" ;; esac >"modules/$file"
	for dep in $(tr '\0' '\n' <"modules/$file" | sed -n 's/^depends=//p' | tr , ' '); do
		(need "$dep")
	done
	echo "$file" >>modules/order
}
kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
	sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$kernel" ] || fail "apt knows no linux-image-cloud-amd64 (Debian's; apt-get update fetches its lists)"
get "$kernel"
get busybox-static
mkdir modules
need kvm-intel
[ -s modules/order ] || fail "$kernel has no kvm-intel"
cp "$kernel"/boot/vmlinuz-* vmlinuz
cp busybox-static/*bin/busybox busybox 2>/dev/null || cp busybox-static/usr/*bin/busybox busybox
rm -rf "$dir/modules"
mv modules vmlinuz busybox "$dir/"
echo "$kernel" >"$dir/have"
say "ready: $kernel with KVM in $dir"
