/* `nestscope linux`: stock Debian with KVM as L1, Debian as L2. Fetches what is
 * missing by the distribution's tools, builds two initramfs, and goes on as
 * `nestscope run` with the words that are left.
 */
#ifndef APP_LINUX_H
#define APP_LINUX_H

int app_linux(int argc, char **argv);

#endif
