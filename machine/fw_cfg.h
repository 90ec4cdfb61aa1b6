/* fw_cfg: small files that the loader gives to the guest (ports 510h, 511h,
 * 514h), by number or by name through the file directory.
 */
#ifndef MACHINE_FW_CFG_H
#define MACHINE_FW_CFG_H

#include <stddef.h>
#include <stdint.h>

struct bus;
struct state;
struct fw_cfg;

enum {
	FW_CFG_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_RAM_SIZE = 0x03, FW_CFG_NB_CPUS = 0x05,
	FW_CFG_KERNEL_CMDLINE = 0x09, FW_CFG_INITRD_SIZE = 0x0b, FW_CFG_MAX_CPUS = 0x0f,
	FW_CFG_INITRD_DATA = 0x12, FW_CFG_FILE_DIR = 0x19, FW_CFG_FILE_FIRST = 0x20
};

struct fw_cfg *fw_cfg_new(struct bus *bus);
void fw_cfg_free(struct fw_cfg *f);

/* Sets an item by number; copied. A later call replaces it. */
void fw_cfg_item(struct fw_cfg *f, uint16_t key, const void *data, size_t len);

/* Adds a named file to the directory ("opt/..." for users' own); copied. */
void fw_cfg_file(struct fw_cfg *f, const char *name, const void *data, size_t len);

void fw_cfg_reset(struct fw_cfg *f);
void fw_cfg_state(struct fw_cfg *f, struct state *s);

#endif
