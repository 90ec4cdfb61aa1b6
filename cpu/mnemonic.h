/* Mnemonics: Zydis' own, and a few of ours where one Zydis mnemonic names
 * instructions that share nothing but the name. cpu/decode.c tells them apart;
 * struct insn.mnemonic and the table rows use the split ones:
 *
 *   MOV_SREG PUSH_SREG POP_SREG   a segment register is an operand
 *   MOV_CR MOV_DR                 a control or debug register is
 *   CALL_FAR JMP_FAR RET_FAR      far transfers (CALL, JMP, RET are near)
 *   MOVSD_SSE CMPSD_SSE           scalar double (MOVSD, CMPSD are string ops)
 */
#ifndef CPU_MNEMONIC_H
#define CPU_MNEMONIC_H

#include <Zydis/Mnemonic.h>

enum insn_mnemonic {
	ZYDIS_MNEMONIC_MOV_SREG = ZYDIS_MNEMONIC_MAX_VALUE + 1,
	ZYDIS_MNEMONIC_PUSH_SREG,
	ZYDIS_MNEMONIC_POP_SREG,
	ZYDIS_MNEMONIC_MOV_CR,
	ZYDIS_MNEMONIC_MOV_DR,
	ZYDIS_MNEMONIC_CALL_FAR,
	ZYDIS_MNEMONIC_JMP_FAR,
	ZYDIS_MNEMONIC_RET_FAR,
	ZYDIS_MNEMONIC_MOVSD_SSE,
	ZYDIS_MNEMONIC_CMPSD_SSE,
	INSN_MNEMONICS
};

#endif
