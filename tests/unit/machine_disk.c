/* machine/disk.h: the overlay keeps the file as it is; state and bad files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/state.h"
#include "machine/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (DISK_CLUSTER * 3 + DISK_SECTOR) /* the last cluster is short */

static char *image(size_t size)
{
	char *path = strdup("/tmp/nestscope-disk-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	uint8_t *data = malloc(size + 1);
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i / DISK_SECTOR + 1);
	assert_true(write(fd, data, size) == (ssize_t)size);
	free(data);
	close(fd);
	return path;
}

static void check(struct disk *d, uint64_t sector, uint8_t want)
{
	uint8_t b[DISK_SECTOR];
	assert_true(disk_read(d, sector, b, sizeof(b)));
	for (unsigned i = 0; i < sizeof(b); i++)
		assert_int_equal(b[i], want);
}

static void test_overlay(void **ctx)
{
	(void)ctx;
	struct err e = {0};
	char *path = image(SIZE);
	struct disk *d = disk_open(path, &e);
	assert_non_null(d);
	uint64_t last = SIZE / DISK_SECTOR - 1;
	assert_true(disk_sectors(d) == last + 1);
	uint8_t b[2 * DISK_SECTOR];
	memset(b, 0xaa, sizeof(b));
	assert_true(disk_write(d, 7, b, sizeof(b))); /* over a cluster's end */
	assert_true(disk_write(d, last, b, DISK_SECTOR));
	assert_false(disk_write(d, last, b, sizeof(b)));
	assert_false(disk_read(d, UINT64_MAX / DISK_SECTOR, b, DISK_SECTOR));
	check(d, 6, 7);
	check(d, 7, 0xaa);
	check(d, 8, 0xaa);
	check(d, 9, 10);
	check(d, last, 0xaa);

	struct buf saved = {0};
	struct state *s = state_saver(&saved);
	disk_state(d, s);
	state_free(s);
	disk_close(d);
	d = disk_open(path, &e);
	check(d, 7, 8); /* the file is untouched */
	s = state_loader(saved.data, saved.len, &e);
	disk_state(d, s);
	assert_true(state_ok(s));
	state_free(s);
	check(d, 7, 0xaa);
	check(d, last, 0xaa);
	disk_close(d);

	int fd = open(path, O_RDWR);
	assert_true(pwrite(fd, "x", 1, 0) == 1);
	close(fd);
	d = disk_open(path, &e);
	s = state_loader(saved.data, saved.len, &e);
	disk_state(d, s);
	assert_false(state_ok(s)); /* another base */
	state_free(s);
	disk_close(d);
	buf_done(&saved);
	unlink(path);
	free(path);
}

static void test_write_through(void **ctx)
{
	(void)ctx;
	struct err e = {0};
	char *path = image(SIZE), spec[64];
	snprintf(spec, sizeof(spec), "%s,write", path);
	struct disk *d = disk_open(spec, &e);
	assert_non_null(d);
	assert_null(disk_open(spec, &e)); /* locked */
	uint8_t b[DISK_SECTOR];
	memset(b, 0x55, sizeof(b));
	assert_true(disk_write(d, 1, b, sizeof(b)) && disk_flush(d));
	disk_close(d);
	d = disk_open(path, &e);
	check(d, 1, 0x55);
	disk_close(d);
	unlink(path);
	free(path);
}

static void test_bad_files(void **ctx)
{
	(void)ctx;
	static const size_t sizes[] = {0, 1, 511, 513};
	for (unsigned i = 0; i < 4; i++) {
		struct err e = {0};
		char *path = image(sizes[i]);
		assert_null(disk_open(path, &e));
		assert_int_equal(e.status, ERR_FILE);
		unlink(path);
		free(path);
	}
	struct err e = {0};
	assert_null(disk_open("/nonexistent", &e));
	assert_int_equal(e.status, ERR_FILE);
	struct err f = {0};
	assert_null(disk_open("/tmp", &f));
	assert_int_equal(f.status, ERR_FILE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_write_through), cmocka_unit_test(test_bad_files)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
