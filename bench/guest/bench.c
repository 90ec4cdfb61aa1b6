/* The integer mix: each kernel runs `n` rounds and returns a checksum that the
 * caller compares between machines. Freestanding, general registers only. */
#include <stdint.h>

void syscall_loop(uint64_t n);
uint64_t nested_run(uint64_t (*run)(uint64_t), uint64_t n); /* nested.c: in L2 */
int bench_main(const char *cmdline);

static uint8_t *const heap = (uint8_t *)0x2000000; /* 32 MiB up, zeroed by the loader's RAM */

static uint32_t ror(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

static uint32_t sha_k[64];

/* The round constants: fractional bits of cube roots of primes, by integer search. */
static void sha_init(void)
{
	unsigned n = 0;
	for (unsigned p = 2; n < 64; p++) {
		unsigned d = 2;
		while (d * d <= p && p % d)
			d++;
		if (d * d <= p)
			continue;
		unsigned __int128 lo = 0, hi = (unsigned __int128)1 << 40;
		while (hi - lo > 1) {
			unsigned __int128 mid = (lo + hi) / 2;
			/* mid^3 <= p * 2^96 in 128 bits: mid < 2^36 here */
			if (mid < ((unsigned __int128)1 << 36) &&
				(mid * mid >> 32) * mid <= (unsigned __int128)p << 64)
				lo = mid;
			else
				hi = mid;
		}
		sha_k[n++] = (uint32_t)lo;
	}
}

static uint64_t sha256(uint64_t n)
{
	uint32_t h[8] = {1, 2, 3, 4, 5, 6, 7, 8}, w[64];
	sha_init();
	while (n--) {
		for (int i = 0; i < 16; i++)
			w[i] = h[i & 7] + (uint32_t)i;
		for (int i = 16; i < 64; i++) {
			uint32_t a = w[i - 15], b = w[i - 2];
			w[i] = w[i - 16] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) + w[i - 7] +
				(ror(b, 17) ^ ror(b, 19) ^ b >> 10);
		}
		uint32_t s[8];
		for (int i = 0; i < 8; i++)
			s[i] = h[i];
		for (int i = 0; i < 64; i++) {
			uint32_t e = s[4], a = s[0];
			uint32_t t1 = s[7] + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) +
				((e & s[5]) ^ (~e & s[6])) + sha_k[i] + w[i];
			uint32_t t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) +
				((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
			for (int j = 7; j > 0; j--)
				s[j] = s[j - 1];
			s[4] += t1;
			s[0] = t1 + t2;
		}
		for (int i = 0; i < 8; i++)
			h[i] += s[i];
	}
	return h[0];
}

static void quicksort(uint32_t *a, long lo, long hi)
{
	while (lo < hi) {
		uint32_t p = a[(lo + hi) / 2];
		long i = lo, j = hi;
		while (i <= j) {
			while (a[i] < p)
				i++;
			while (a[j] > p)
				j--;
			if (i <= j) {
				uint32_t t = a[i];
				a[i++] = a[j];
				a[j--] = t;
			}
		}
		if (j - lo < hi - i) {
			quicksort(a, lo, j);
			lo = i;
		} else {
			quicksort(a, i, hi);
			hi = j;
		}
	}
}

static uint64_t qsort_rounds(uint64_t n)
{
	uint32_t *a = (uint32_t *)heap, x = 1;
	uint64_t sum = 0;
	while (n--) {
		for (int i = 0; i < 10000; i++)
			a[i] = x = x * 1664525 + 1013904223;
		quicksort(a, 0, 9999);
		sum += a[77];
	}
	return sum;
}

/* A random cycle through `bytes` of 16-byte nodes. */
static uint64_t list(uint64_t n, uint64_t bytes)
{
	uint64_t count = bytes / 16, x = 12345;
	uint64_t(*node)[2] = (void *)heap;
	for (uint64_t i = 0; i < count; i++)
		node[i][1] = i;
	for (uint64_t i = count - 1; i > 0; i--) { /* Sattolo */
		x = x * 6364136223846793005u + 1442695040888963407u;
		uint64_t j = (x >> 33) % i, t = node[i][1];
		node[i][1] = node[j][1];
		node[j][1] = t;
	}
	for (uint64_t i = 0; i < count; i++)
		node[i][0] = (uint64_t)&node[node[i][1]];
	uint64_t *p = (uint64_t *)node, sum = 0;
	for (uint64_t i = 0; i < n * 100000; i++) {
		sum += p[1];
		p = (uint64_t *)p[0];
	}
	return sum;
}

static uint64_t crc(uint64_t n)
{
	uint32_t table[256], c = ~0u;
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t v = i;
		for (int k = 0; k < 8; k++)
			v = v & 1 ? v >> 1 ^ 0xedb88320 : v >> 1;
		table[i] = v;
	}
	while (n--)
		for (int i = 0; i < 65536; i++)
			c = table[(c ^ heap[i]) & 255] ^ c >> 8;
	return c;
}

static uint64_t copy(uint64_t n)
{
	uint64_t *a = (uint64_t *)heap, *b = (uint64_t *)(heap + 65536), sum = 0;
	for (int i = 0; i < 8192; i++)
		a[i] = (uint64_t)i * 0x9e3779b97f4a7c15u;
	while (n--) {
		for (int i = 0; i < 8192; i++)
			b[i] = a[i];
		for (int i = 0; i < 8192; i++)
			sum += b[i];
		a[n & 8191] = sum;
	}
	return sum;
}

static __attribute__((noinline)) uint64_t fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t calls(uint64_t n)
{
	uint64_t sum = 0;
	while (n--)
		sum += fib(20);
	return sum;
}

/* A byte-code machine: for (i = 1; i < 200; i++) s += i % 7, for ever. */
static uint64_t bytecode(uint64_t n)
{
	enum { PUSH, ADD, MOD, JZ, JMP, LOAD, STORE, LT };
	static const uint8_t code[] = {
		/*  0 */ LOAD, 0, PUSH, 1, ADD, STORE, 0,
		/*  7 */ LOAD, 1, LOAD, 0, PUSH, 7, MOD, ADD, STORE, 1,
		/* 17 */ LOAD, 0, PUSH, 200, LT, JZ, 26, JMP, 0,
		/* 26 */ PUSH, 0, STORE, 0, JMP, 0};
	uint64_t sum = 0;
	while (n--) {
		uint64_t stack[16] = {0}, var[4] = {0};
		unsigned sp = 0, pc = 0;
		for (unsigned steps = 0; steps < 200000; steps++) {
			switch (code[pc++]) {
			case PUSH: stack[sp++ & 15] = code[pc++]; break;
			case ADD: sp--; stack[(sp - 1) & 15] += stack[sp & 15]; break;
			case MOD: sp--; stack[(sp - 1) & 15] %= stack[sp & 15] | !stack[sp & 15]; break;
			case LT: sp--; stack[(sp - 1) & 15] = stack[(sp - 1) & 15] < stack[sp & 15]; break;
			case JZ: pc = stack[--sp & 15] ? pc + 1 : code[pc]; break;
			case JMP: pc = code[pc]; break;
			case LOAD: stack[sp++ & 15] = var[code[pc++] & 3]; break;
			case STORE: var[code[pc++] & 3] = stack[--sp & 15]; break;
			}
		}
		sum += var[0] + var[1];
	}
	return sum;
}

static uint64_t syscalls(uint64_t n)
{
	syscall_loop(n * 10000);
	return 0;
}

static uint64_t list2m(uint64_t n)
{
	return list(n, 2 << 20);
}
static uint64_t list32k(uint64_t n)
{
	return list(n, 32 << 10);
}
static uint64_t list8m(uint64_t n)
{
	return list(n, 8 << 20);
}

static const struct {
	const char *name;
	uint64_t (*run)(uint64_t n);
} kernel[] = {{"sha256", sha256}, {"qsort", qsort_rounds}, {"list2m", list2m},
	{"list32k", list32k}, {"crc", crc}, {"copy", copy}, {"calls", calls},
	{"bytecode", bytecode}, {"syscall", syscalls}, {"list8m", list8m}};

/* Until the serial port has room (20h) or is empty (60h). */
static void serial_wait(uint8_t bits)
{
	uint8_t lsr;
	do
		__asm__ volatile("inb %w1, %b0" : "=a"(lsr) : "d"(0x3fd));
	while ((lsr & bits) != bits);
}

static void put(const char *s)
{
	__asm__ volatile("outb %b0, %w1" : : "a"(3), "d"(0x3fb)); /* 8N1 */
	for (; *s; s++) {
		serial_wait(0x20);
		__asm__ volatile("outb %b0, %w1" : : "a"(*s), "d"(0x3f8));
	}
	serial_wait(0x60);
}

static const char *word(const char *s, const char *w)
{
	while (*w && *s == *w)
		s++, w++;
	return *w || (*s && *s != ' ') ? 0 : s;
}

/* The command line: [image name] [l2] KERNEL ROUNDS. */
int bench_main(const char *cmdline)
{
	uint64_t l2 = 0;
	for (const char *s = cmdline; *s; s++) {
		if (s != cmdline && s[-1] != ' ')
			continue;
		l2 |= word(s, "l2") != 0;
		for (unsigned k = 0; k < sizeof(kernel) / sizeof(kernel[0]); k++) {
			const char *p = word(s, kernel[k].name);
			uint64_t n = 0;
			if (!p)
				continue;
			for (; *p; p++)
				if (*p >= '0' && *p <= '9')
					n = n * 10 + (uint64_t)(*p - '0');
			uint64_t sum = l2 ? nested_run(kernel[k].run, n) : kernel[k].run(n);
			char hex[18];
			for (int i = 0; i < 16; i++)
				hex[i] = "0123456789abcdef"[sum >> (60 - 4 * i) & 15];
			hex[16] = '\n';
			hex[17] = 0;
			put(kernel[k].name);
			put(" ");
			put(hex);
			return 0;
		}
	}
	put("no such kernel\n");
	return 1;
}
