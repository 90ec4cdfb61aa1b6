/* A recorded machine: a backend made of data, for building and testing front
 * ends without a guest.
 *
 * fake_demo() has one vCPU: L1 is a small hypervisor in long mode with
 * symbols, L2 a 64-bit guest under EPT with its own page tables. L2 executes
 * CPUID, HLT, port I/O and touches an unmapped page; the ring holds 4,100
 * transitions, many of them VMREAD/VMWRITE of L1. Its state never changes by
 * looking; running "replays" it: rip moves from instruction to instruction
 * through a small scripted loop of both levels (fake_script), so that
 * breakpoints, steps through and within, watchpoints and catches can be tried.
 * Registers, memory and VMCS12 can be written.
 */
#ifndef INTROSPECT_FAKE_H
#define INTROSPECT_FAKE_H

#include "introspect/backend.h"

/* Two calls give two machines that are equal. */
struct intro_backend *fake_demo(void);

/* The same as a session, with symbols of both levels loaded. */
struct intro *fake_session(void);

/* Addresses of the recorded machine that tests name. */
#define FAKE_L1_CODE    UINT64_C(0xffffffff81000000) /* L1 virtual, "l1_entry_loop" */
#define FAKE_L1_STACK   UINT64_C(0xffffffff81020f00)
#define FAKE_L2_CODE    UINT64_C(0x0000000000401000) /* L2 virtual, "guest_main" */
#define FAKE_L2_DATA    UINT64_C(0x0000000000403000) /* L2 virtual, read-write */
#define FAKE_L2_HOLE    UINT64_C(0x0000000000500000) /* mapped by L2, not by EPT12 */
#define FAKE_L2_NOTHING UINT64_C(0x0000000000600000) /* not mapped by L2 */
#define FAKE_VMCS12     UINT64_C(0x5000)             /* L1-physical */

#endif
