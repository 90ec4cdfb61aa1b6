/* Numbers that VMX reports: exit reasons, VM-instruction errors, entry-failure
 * qualifications, abort indicators, and the layout of event fields.
 */
#ifndef VMX_CODES_H
#define VMX_CODES_H

#include <stdint.h>

enum vmx_exit_reason {
#define EXIT_REASON(n, name, text) EXIT_REASON_##name = n,
#include "vmx/exit_reasons.def"
#undef EXIT_REASON
	EXIT_REASON_COUNT
};

#define EXIT_REASON_ENTRY_FAILURE (1u << 31)

enum vmx_insn_error {
#define INSN_ERROR(n, name, text) INSN_ERROR_##name = n,
#include "vmx/insn_errors.def"
#undef INSN_ERROR
	INSN_ERROR_COUNT
};

/* SDM Vol. 3C 26.8 "VM-Entry Failures During or After Loading Guest State". */
enum vmx_entry_qualification { ENTRY_QUAL_DEFAULT = 0, ENTRY_QUAL_PDPTE = 2, ENTRY_QUAL_NMI = 3,
	ENTRY_QUAL_LINK_POINTER = 4 };

/* SDM Vol. 3C 27.7 "VMX Aborts". */
enum vmx_abort { ABORT_MSR_STORE = 1, ABORT_HOST_PDPTE = 2, ABORT_VMCS_CORRUPT = 3,
	ABORT_MSR_LOAD = 4, ABORT_MACHINE_CHECK = 5, ABORT_LMA_TO_32BIT = 6 };

/* Interruption information, SDM Vol. 3C 24.8.3 and 24.9.2. */
#define INTR_VECTOR      0xffu
#define INTR_TYPE_SHIFT  8
#define INTR_TYPE        0x700u
#define INTR_ERROR_CODE  (1u << 11)
#define INTR_NMI_UNBLOCK (1u << 12) /* exit: blocking by NMI was removed by IRET */
#define INTR_VALID       (1u << 31)

/* Interruptibility, SDM Vol. 3C 24.4.2 table 24-3. */
#define BLOCKING_STI    (1u << 0)
#define BLOCKING_MOV_SS (1u << 1)
#define BLOCKING_SMI    (1u << 2)
#define BLOCKING_NMI    (1u << 3)

/* Names as in the .def files; NULL when the number has none. */
const char *vmx_exit_reason_name(unsigned basic_reason);
const char *vmx_exit_reason_text(unsigned basic_reason);
const char *vmx_insn_error_name(unsigned error);
const char *vmx_insn_error_text(unsigned error);
/* The number of a name, letters of either case; -1 when unknown. */
int vmx_exit_reason_find(const char *name);

#endif
