# Dynamic glibc programs; the same lines on the host and in the guest. G is
# where coreutils lie, RUN what starts them, F where the compiled test lies.
: "${G:=/g}" "${F:=/f}"
export LC_ALL=C
t=$(mktemp -d 2>/dev/null || echo /tmp)
cd "$t"
g() { p=$1; shift; $RUN "$G/$p" "$@"; }
echo "begin"
$RUN "$F/program-test"
g seq 1 12000 >a
g seq -f '%.3f' 0.001 0.37 900 >b
g sha256sum a b
g sha512sum <a
g md5sum a b
g b2sum <a
g cksum <a
g sort -rn a | g head -n 3
g sort -g b | g tail -n 2
g sort -R --random-source=a a | g sha1sum
g shuf --random-source=a a | g sha224sum
g tr '0-9' 'a-j' <a | g sort -u | g wc
g base64 a | g md5sum
g tac a | g cut -c1-3 | g uniq -c | g sum
g od -t f8 -N 64 a
g od -t fL -N 64 b
g seq 0.1 0.7 4
g numfmt --to=iec 123456789012
g factor 18446744073709551557 1000000007000000063
g paste a b | g fold -w 40 | g md5sum
g fmt -w 60 a | g expand | g nl | g sha256sum
g join a a | g comm -12 - a 2>/dev/null | g wc -l
g printf '%.15Lf %e %g\n' 3.14159265358979323846 1e300 1e-7
g expr length "$(g seq 1 400)"
echo "end"
