#include "app/linux_data.h"

/* guests/linux/rules.mk says where the files are. */
#define DATA(name, path)                                              \
	__asm__(".section .rodata\n"                                  \
		".balign 16\n"                                        \
		".globl linux_data_" #name ", linux_data_" #name "_end\n" \
		"linux_data_" #name ": .incbin \"" path "\"\n"          \
		"linux_data_" #name "_end:\n"                         \
		".byte 0\n"                                           \
		".previous\n");                                       \
	extern const char linux_data_##name[], linux_data_##name##_end[]; \
	struct linux_data linux_##name(void)                          \
	{                                                             \
		return (struct linux_data){linux_data_##name,         \
			(size_t)(linux_data_##name##_end - linux_data_##name)}; \
	}

DATA(fetch_script, "guests/linux/fetch.sh")
DATA(l1_init, "guests/linux/l1-init")
DATA(l2_init, "guests/linux/l2-init")
DATA(l2_command, "guests/linux/l2-command")
DATA(kvmboot, LINUX_KVMBOOT)
