/* From bytes to struct insn, by Zydis; pure.
 *
 * Not for callers with live FP state: Zydis uses vector registers.
 */
#ifndef CPU_DECODE_H
#define CPU_DECODE_H

#include "cpu/insn.h"

#include <stddef.h>

enum decode_status {
	DECODE_OK,
	DECODE_UD,   /* no instruction: #UD; len and bytes hold what was looked at */
	DECODE_LONG, /* more than 15 bytes: #GP(0) */
	DECODE_MORE  /* `len` bytes are not enough */
};

/* mode: CS code size 2, 4 or 8; stack32: SS.B. Fills all of *out but row. */
enum decode_status insn_decode(
	const uint8_t *bytes, size_t len, unsigned mode, bool stack32, struct insn *out);

#endif
