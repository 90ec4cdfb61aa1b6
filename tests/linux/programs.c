/* glibc's string and math functions over many lengths, alignments and values;
 * prints digests. Run on the host and in the guest: the lines must agree. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <wchar.h>

static uint64_t digest;

static void mix(const void *p, size_t n)
{
	const unsigned char *b = p;
	while (n--)
		digest = (digest ^ *b++) * 0x100000001b3;
}

static void mix_long(long v)
{
	mix(&v, sizeof v);
}

static void done(const char *what)
{
	printf("%s %016llx\n", what, (unsigned long long)digest);
	digest = 0xcbf29ce484222325;
}

/* Two pages that end where nothing is mapped: overreads would fault. */
static char *edge(void)
{
	char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p + 2 * 4096, 4096);
	return p + 2 * 4096;
}

static void strings(void)
{
	char *end = edge(), *other = edge();
	for (unsigned n = 1; n < 300; n++) {
		char *s = end - n, *t = other - n;
		memset(s, 'a' + (int)(n % 7), n - 1);
		s[n - 1] = 0;
		s[n / 2] = n > 2 ? 'x' : s[n / 2];
		memcpy(t, s, n);
		mix_long((long)strlen(s));
		mix_long(strchr(s, 'x') ? strchr(s, 'x') - s : -1);
		mix_long(strrchr(s, 'a') ? strrchr(s, 'a') - s : -1);
		mix_long((char *)rawmemchr(s, 0) - s);
		mix_long(memcmp(s, t, n));
		t[n / 3] ^= 1;
		mix_long(memcmp(s, t, n) < 0);
		mix_long(strcmp(s, t) < 0);
		mix_long(strncmp(s, t, n / 3));
		mix_long(strcasecmp(s, t) < 0);
		mix_long((long)strspn(s, "abcdefg"));
		mix_long((long)strcspn(s, "xyz"));
		mix_long(strstr(s, "xa") ? strstr(s, "xa") - s : -1);
		memmove(s, s + n / 4, n - n / 4);
		mix(s, n);
		mix_long((long)wcsnlen((wchar_t *)((uintptr_t)s & ~3ul), n / 4));
	}
	done("strings");
}

static void copies(void)
{
	static unsigned char a[1 << 20], b[1 << 20];
	for (size_t n = 0; n < sizeof a; n++)
		a[n] = (unsigned char)(n * 2654435761u >> 13);
	for (size_t n = 1; n < sizeof a; n = n * 3 / 2 + 1) {
		memcpy(b + n % 64, a, n < sizeof b - 64 ? n : sizeof b - 64);
		memmove(b + 33, b, n / 2);
		memset(b + n / 3, (int)n, n / 7);
		mix(b, 4096);
		unsigned char *first = memchr(a, 0x5a, n), *last = memrchr(a, 0x5a, n);
		mix_long(first ? first - a : -1);
		mix_long(last ? last - a : -1);
	}
	mix(b, sizeof b);
	done("copies");
}

static void maths(void)
{
	static double (*const f[])(double) = {sin, cos, tan, exp, exp2, log, log2, atan, asin, sinh,
		cbrt, sqrt, floor, rint, erf, tgamma};
	for (unsigned k = 0; k < sizeof f / sizeof f[0]; k++)
		for (double x = -20; x < 20; x += 0.37) {
			double y = f[k](x), z = pow(fabs(x), y > 5 ? 5 : y < -5 ? -5 : y == y ? y : 1);
			float g = sinf((float)x) + expf((float)x);
			if (y == y)
				mix(&y, sizeof y);
			if (z == z)
				mix(&z, sizeof z);
			mix(&g, sizeof g);
		}
	for (long double x = -9; x < 9; x += 0.31L) {
		long double v[] = {sinl(x), expl(x), sqrtl(fabsl(x)), fmodl(x, 0.7L), atanl(x)};
		for (unsigned k = 0; k < 5; k++)
			mix(&v[k], 10);
		mix_long(lrintl(x * 1000));
	}
	done("maths");
	printf("%.20Lg %.17g %a\n", expl(1), exp(1), tan(1));
}

int main(void)
{
	done("start");
	strings();
	copies();
	maths();
	return 0;
}
