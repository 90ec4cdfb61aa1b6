echo "marker: glibc"
g() { LD_LIBRARY_PATH=/lib /g/$1; }
cd /g
/g/seq 1 20000 >/tmp/n; /g/sort -r /tmp/n | /g/sha256sum; /g/tac /tmp/n | /g/md5sum; /g/cat /tmp/n | /g/tr 0-9 a-j | /g/sha512sum
/g/factor 1234567890123456789 600851475143; /g/printf '%.10f %e %a\n' 3.14159265 2.5e10 0.1; /g/wc /tmp/n; /g/seq 0.1 0.3 9.7 | /g/sha1sum
/g/expr 12345678901234567890 \* 98765432109876543210; /g/shuf --random-source=/tmp/n /tmp/n | /g/sha256sum; /g/od -t f8 -N 64 /tmp/n
/g/base64 /tmp/n | /g/cksum; /g/numfmt --to=iec 123456789 
echo "marker: end"
