/* What `nestscope linux` carries with it, from guests/linux/: the script that
 * fetches, the init scripts, and the small user of KVM that runs L2.
 */
#ifndef APP_LINUX_DATA_H
#define APP_LINUX_DATA_H

#include <stddef.h>

struct linux_data {
	const char *bytes;
	size_t size;
};

struct linux_data linux_fetch_script(void);
struct linux_data linux_l1_init(void);
struct linux_data linux_l2_init(void);
struct linux_data linux_l2_command(void);
struct linux_data linux_kvmboot(void);

#endif
