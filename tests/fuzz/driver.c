/* The plain driver: PROGRAM [--seconds N] [--seed N] [--runs N] FILE... replays
 * the files, then tries generated and mutated inputs. Ends with the test line. */
#include "tests/fuzz/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INPUT_MAX  (1u << 20)
#define CORPUS_MAX 4096

struct fuzz {
	struct fuzz_random random;
	uint8_t *corpus[CORPUS_MAX];
	size_t len[CORPUS_MAX];
	unsigned n;
	char crash[128];
	uint8_t *input;
};

static void load(struct fuzz *f, const char *path)
{
	FILE *in = fopen(path, "rb");
	if (!in || f->n == CORPUS_MAX) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(2);
	}
	f->corpus[f->n] = malloc(INPUT_MAX);
	f->len[f->n] = fread(f->corpus[f->n], 1, INPUT_MAX, in);
	f->n++;
	fclose(in);
}

/* Left on the disk when the run does not come back. */
static void keep(const struct fuzz *f, const uint8_t *data, size_t n)
{
	FILE *out = fopen(f->crash, "wb");
	if (!out || fwrite(data, 1, n, out) != n || fclose(out)) {
		perror(f->crash);
		exit(2);
	}
}

/* A corpus file with bytes changed, cut, doubled, or joined with another. */
static size_t mutate(struct fuzz *f)
{
	struct fuzz_random *r = &f->random;
	unsigned k = fuzz_below(r, f->n);
	size_t n = f->len[k];
	memcpy(f->input, f->corpus[k], n);
	for (unsigned changes = 1 + fuzz_below(r, 8); changes-- && n;) {
		size_t at = fuzz_below(r, (unsigned)n), part = 1 + fuzz_below(r, 64);
		if (part > n - at)
			part = n - at;
		switch (fuzz_below(r, 5)) {
		case 0:
			f->input[at] = (uint8_t)fuzz_below(r, 256);
			break;
		case 1:
			f->input[at] ^= (uint8_t)(1u << fuzz_below(r, 8));
			break;
		case 2: /* cut */
			memmove(f->input + at, f->input + at + part, n - at - part);
			n -= part;
			break;
		case 3: /* double */
			if (n + part > INPUT_MAX)
				break;
			memmove(f->input + at + part, f->input + at, n - at);
			n += part;
			break;
		default: { /* a piece of another */
			unsigned o = fuzz_below(r, f->n);
			if (!f->len[o])
				break;
			size_t from = fuzz_below(r, (unsigned)f->len[o]);
			if (part > f->len[o] - from)
				part = f->len[o] - from;
			memcpy(f->input + at, f->corpus[o] + from, part > n - at ? n - at : part);
		}
		}
	}
	return n;
}

static uint64_t parse(const char *text)
{
	return strtoull(text ? text : "0", NULL, 0);
}

int main(int argc, char **argv)
{
	static struct fuzz f;
	uint64_t seconds = 10, runs = UINT64_MAX, done = 0, seed = 1;
	snprintf(f.crash, sizeof f.crash, "%.120s.crash", argv[0]);
	f.input = malloc(INPUT_MAX);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seconds"))
			seconds = parse(argv[++i]);
		else if (!strcmp(argv[i], "--seed"))
			seed = parse(argv[++i]);
		else if (!strcmp(argv[i], "--runs"))
			runs = parse(argv[++i]);
		else
			load(&f, argv[i]);
	}
	f.random.x = seed;
	for (unsigned i = 0; i < f.n; i++)
		fuzz_one(f.corpus[i], f.len[i]);
	for (time_t end = time(NULL) + (time_t)seconds; done < runs && time(NULL) < end; done++) {
		size_t n = f.n && fuzz_below(&f.random, 2) ? mutate(&f)
							     : fuzz_make(&f.random, f.input, INPUT_MAX);
		keep(&f, f.input, n);
		fuzz_one(f.input, n);
	}
	remove(f.crash);
	for (unsigned i = 0; i < f.n; i++)
		free(f.corpus[i]);
	free(f.input);
	printf("%u files and %" PRIu64 " inputs from seed %" PRIu64 "\n1 passed, 0 failed\n", f.n, done,
		seed);
	return 0;
}
