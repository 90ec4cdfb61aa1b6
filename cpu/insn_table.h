/* Prototypes of all slow functions and binders that the table's rows name, and
 * the number of each row. */
#ifndef CPU_INSN_TABLE_H
#define CPU_INSN_TABLE_H

#include "cpu/op.h"

#define SLOW(m, slow, feature, attrs)       insn_slow_fn slow;
#define OP(m, bind, feature, attrs)         insn_bind_fn bind;
#define FAST(m, bind, slow, feature, attrs) insn_bind_fn bind; insn_slow_fn slow;
#include "cpu/insn_int.def"
#include "cpu/insn_sys.def"
#include "cpu/insn_fp.def"
#undef SLOW
#undef OP
#undef FAST

enum insn_row_number {
#define SLOW(m, ...) ROW_##m,
#define OP           SLOW
#define FAST         SLOW
#include "cpu/insn_int.def"
#include "cpu/insn_sys.def"
#include "cpu/insn_fp.def"
#undef SLOW
#undef OP
#undef FAST
	ROW_COUNT
};

/* Rows of each file. */
enum {
#define SLOW(...) +1
#define OP        SLOW
#define FAST      SLOW
	ROWS_INT = 0
#include "cpu/insn_int.def"
	,
	ROWS_SYS = 0
#include "cpu/insn_sys.def"
	,
	ROWS_FP = 0
#include "cpu/insn_fp.def"
#undef SLOW
#undef OP
#undef FAST
};

#endif
