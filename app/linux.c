#include "app/linux.h"

#include "app/cpio.h"
#include "app/linux_data.h"
#include "app/options.h"
#include "app/run.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 256

extern char **environ;

static const char help[] =
	"usage: nestscope linux [OPTION of run]...\n\n"
	"Boots Debian's cloud kernel with KVM as L1, and in it the same kernel as L2: each\n"
	"with a shell on the serial line. exit in L2 goes back to L1, where l2 starts it\n"
	"again. At a terminal the shell has the keys; Ctrl-C stops both levels at the prompt,\n"
	"where `continue` goes on. Without a terminal, or with --append end, both end by\n"
	"themselves.\n\n"
	"The kernel and busybox are fetched once, by apt-get download and without root, into\n"
	"$XDG_CACHE_HOME/nestscope/linux (by default ~/.cache/nestscope/linux); remove that\n"
	"folder to fetch newer ones. All options of `nestscope run` apply, but for the guest's:\n"
	"--tui, --gdb, --cpus, --l0, -c, --trace, and so on; --append adds to L1's command line.\n"
	"With --batch the terminal is L1's console.\n";

static bool cache_folder(char *out, size_t size, struct err *e)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (base && *base == '/')
		snprintf(out, size, "%s/nestscope/linux", base);
	else if (home && *home)
		snprintf(out, size, "%s/.cache/nestscope/linux", home);
	else
		return err_set(e, ERR_FILE, "linux: neither XDG_CACHE_HOME nor HOME says where a cache is");
	return true;
}

static bool have(const char *dir)
{
	static const char *const files[] = {"vmlinuz", "busybox", "modules/order"};
	char path[PATH_MAX];
	struct stat st;

	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		if (stat(path, &st) || !st.st_size)
			return false;
	}
	return true;
}

/* The script says itself what it does and what is missing. */
static int fetch(const char *dir)
{
	char *argv[] = {"sh", "-c", (char *)linux_fetch_script().bytes, "fetch.sh", (char *)dir, NULL};
	pid_t pid;
	int status;

	if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ)) {
		fprintf(stderr, "nestscope: linux: /bin/sh cannot be run\n");
		return ERR_FILE;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return ERR_FILE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : ERR_FILE;
}

/* The folders and the busybox that both initramfs have. */
static bool base_system(struct cpio *c, const char *dir, struct linux_data init, struct err *e)
{
	char path[PATH_MAX];

	cpio_dir(c, "dev");
	cpio_device(c, "dev/console", 5, 1);
	cpio_dir(c, "bin");
	snprintf(path, sizeof(path), "%s/busybox", dir);
	if (!cpio_file(c, "bin/busybox", 0755, path, e))
		return false;
	cpio_data(c, "init", 0755, init.bytes, init.size);
	return true;
}

static bool modules(struct cpio *c, const char *dir, struct err *e)
{
	char path[PATH_MAX], name[128], member[160];
	bool ok = true;

	cpio_dir(c, "lib");
	cpio_dir(c, "lib/modules");
	snprintf(path, sizeof(path), "%s/modules/order", dir);
	FILE *f = fopen(path, "re");
	if (!f || !cpio_file(c, "lib/modules/order", 0644, path, e)) {
		if (f)
			fclose(f);
		return err_set(e, ERR_FILE, "linux: %s cannot be read", path);
	}
	while (ok && fgets(name, sizeof(name), f)) {
		name[strcspn(name, "\n/")] = 0;
		snprintf(member, sizeof(member), "lib/modules/%s", name);
		snprintf(path, sizeof(path), "%s/modules/%s", dir, name);
		ok = cpio_file(c, member, 0644, path, e);
	}
	fclose(f);
	return ok;
}

static bool l1_system(struct cpio *c, const char *dir, const struct cpio *l2, struct err *e)
{
	struct linux_data kvmboot = linux_kvmboot(), command = linux_l2_command();
	char path[PATH_MAX];

	if (!base_system(c, dir, linux_l1_init(), e) || !modules(c, dir, e))
		return false;
	cpio_data(c, "bin/kvmboot", 0755, kvmboot.bytes, kvmboot.size);
	cpio_data(c, "bin/l2", 0755, command.bytes, command.size);
	cpio_dir(c, "boot");
	cpio_data(c, "boot/l2.img", 0644, l2->out.data, l2->out.len);
	snprintf(path, sizeof(path), "%s/vmlinuz", dir);
	return cpio_file(c, "boot/vmlinuz", 0644, path, e);
}

/* Complete or not there: several may start at once. */
static bool write_file(const char *path, const struct buf *data, struct err *e)
{
	char temp[PATH_MAX];

	snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	int fd = mkstemp(temp);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	bool ok = f && fwrite(data->data, 1, data->len, f) == data->len && !fflush(f);
	if (f)
		ok = !fclose(f) && ok;
	ok = ok && !rename(temp, path);
	if (ok)
		return true;
	if (fd >= 0)
		unlink(temp);
	return err_set(e, ERR_FILE, "linux: %s cannot be written", path);
}

static bool build(const char *dir, const char *initrd, struct err *e)
{
	struct cpio l1 = {0}, l2 = {0};
	bool ok = base_system(&l2, dir, linux_l2_init(), e);

	cpio_end(&l2);
	ok = ok && l1_system(&l1, dir, &l2, e);
	cpio_end(&l1);
	ok = ok && write_file(initrd, &l1.out, e);
	cpio_done(&l1);
	cpio_done(&l2);
	return ok;
}

/* Takes "--NAME VALUE" or "--NAME=VALUE" out of the words; NULL: it is not there. */
static const char *take(const char *name, int *argc, char **argv)
{
	size_t n = strlen(name);

	for (int i = 0; i < *argc; i++) {
		const char *w = argv[i], *value = NULL;
		int used = 1;

		if (strncmp(w, "--", 2) || strncmp(w + 2, name, n))
			continue;
		if (w[2 + n] == '=')
			value = w + 3 + n;
		else if (!w[2 + n] && i + 1 < *argc)
			value = argv[i + 1], used = 2;
		if (!value)
			continue;
		memmove(argv + i, argv + i + used, (size_t)(*argc - i - used) * sizeof(*argv));
		*argc -= used;
		return value;
	}
	return NULL;
}

static bool given(const char *word, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], word, strlen(word)) &&
			(!argv[i][strlen(word)] || argv[i][strlen(word)] == '='))
			return true;
	return false;
}

/* The words for `nestscope run`. */
struct words {
	char dir[PATH_MAX - 256], initrd[PATH_MAX - 128], kernel[PATH_MAX], append[4096];
	char *at[WORDS_MAX];
	int count;
};

static bool make_words(struct words *w, int argc, char **argv, struct err *e)
{
	const char *more = take("append", &argc, argv);
	bool front = given("--tui", argc, argv) || given("--gdb", argc, argv) ||
		given("--control", argc, argv) || given("--serial", argc, argv);
	bool script = given("-c", argc, argv) || given("-x", argc, argv);
	bool terminal = isatty(STDIN_FILENO);

	if (argc > WORDS_MAX - 16)
		return err_set(e, ERR_USAGE, "linux: more than %d words", WORDS_MAX - 16);
	snprintf(w->initrd, sizeof(w->initrd), "%s/l1.img", w->dir);
	snprintf(w->kernel, sizeof(w->kernel), "%s/vmlinuz", w->dir);
	snprintf(w->append, sizeof(w->append), "console=ttyS0 quiet%s%s%s",
		terminal || front || script ? "" : " end", more ? " " : "", more ? more : "");
	char *const first[] = {"--kernel", w->kernel, "--initrd", w->initrd, "--append", w->append};
	memcpy(w->at, first, sizeof(first));
	w->count = sizeof(first) / sizeof(first[0]);
	memcpy(w->at + w->count, argv, (size_t)argc * sizeof(*argv));
	w->count += argc;
	if (terminal && !front && !script && !given("--batch", argc, argv)) {
		w->at[w->count++] = "-c";
		w->at[w->count++] = "continue";
	}
	return true;
}

/* Bad usage is told before anything is fetched. */
static bool usable(const struct words *w, struct err *e)
{
	struct options o;
	bool ok = options_parse(&o, w->count, (char **)w->at, e);

	options_done(&o);
	return ok;
}

int app_linux(int argc, char **argv)
{
	struct words w = {0};
	struct err e = {0};
	int status;

	if (given("--help", argc, argv)) {
		fputs(help, stdout);
		return 0;
	}
	if (!cache_folder(w.dir, sizeof(w.dir), &e) || !make_words(&w, argc, argv, &e) ||
		!usable(&w, &e))
		goto fail;
	if (!have(w.dir) && (status = fetch(w.dir)))
		return status;
	if (!build(w.dir, w.initrd, &e))
		goto fail;
	return app_run(w.count, w.at);
fail:
	fprintf(stderr, "nestscope: %s\n", e.msg);
	return e.status;
}
