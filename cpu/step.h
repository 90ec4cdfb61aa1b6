/* What one instruction, or one part of it, came to.
 *
 * Guest faults and VM exits are results, carried by return values. A function
 * that returns CPU_FAULT has filled c->fault; one that returns CPU_EXIT has
 * had the VM exit recorded by vmx/ (cpu/hooks.h) and the engine must leave.
 */
#ifndef CPU_STEP_H
#define CPU_STEP_H

#include <stdbool.h>
#include <stdint.h>

enum cpu_step {
	CPU_DONE = 0, /* completed: rip = next_rip, retires */
	CPU_FAULT,    /* c->fault is to be delivered, rip stays */
	CPU_EXIT,     /* VM exit: leave the engine, rip stays */
	CPU_AGAIN,    /* one iteration of rep retired, more to do: rip stays, retires */
	CPU_LEAVE,    /* completed, and the engine leaves with c->leave (HLT, shutdown, reset) */
};

/* In a function that returns enum cpu_step: hands on anything but CPU_DONE. */
#define CPU_TRY(expr)                          \
	do {                                   \
		enum cpu_step try_ = (expr);   \
		if (try_ != CPU_DONE)          \
			return try_;           \
	} while (0)

/* Vectors, SDM Vol. 3A 6.3.1 "External Interrupts" table 6-1. */
enum cpu_vector {
	VEC_DE = 0, VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5, VEC_UD = 6,
	VEC_NM = 7, VEC_DF = 8, VEC_TS = 10, VEC_NP = 11, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14,
	VEC_MF = 16, VEC_AC = 17, VEC_MC = 18, VEC_XM = 19, VEC_VE = 20, VEC_CP = 21
};

/* Event types as VMX encodes them, SDM Vol. 3C 24.8.3 "VM-Entry Controls for
 * Event Injection". */
enum cpu_event_type {
	TYPE_EXTINT = 0, TYPE_NMI = 2, TYPE_HWEXC = 3, TYPE_SWINT = 4, TYPE_PRIV_SWEXC = 5,
	TYPE_SWEXC = 6, TYPE_OTHER = 7
};

/* An exception or interrupt on its way to the guest's IDT. */
struct cpu_fault {
	uint8_t vector;
	uint8_t type; /* enum cpu_event_type */
	bool has_error;
	uint32_t error;
	uint64_t payload;  /* #PF: the linear address; #DB: the DR6 bits to set */
	uint8_t insn_len;  /* software events: bytes of the instruction */
};

#endif
