#include "cpu/insn_table.h"

#include "cpu/mnemonic.h"
#include "cpu/model.h"

const struct insn_row insn_table[ROW_COUNT + 1] = {
#define SLOW(m, slow, feature, attrs) \
	{ZYDIS_MNEMONIC_##m, #m, FEAT_##feature, attrs, slow, NULL},
#define OP(m, bind, feature, attrs) {ZYDIS_MNEMONIC_##m, #m, FEAT_##feature, attrs, NULL, bind},
#define FAST(m, bind, slow, feature, attrs) \
	{ZYDIS_MNEMONIC_##m, #m, FEAT_##feature, attrs, slow, bind},
#include "cpu/insn_int.def"
#include "cpu/insn_sys.def"
#include "cpu/insn_fp.def"
#undef SLOW
#undef OP
#undef FAST
	{0},
};

const unsigned insn_rows = ROW_COUNT;

/* A switch, so that a mnemonic in two rows does not compile. */
const struct insn_row *insn_row_of(unsigned mnemonic)
{
	switch (mnemonic) {
#define SLOW(m, ...) \
	case ZYDIS_MNEMONIC_##m: \
		return &insn_table[ROW_##m];
#define OP   SLOW
#define FAST SLOW
#include "cpu/insn_int.def"
#include "cpu/insn_sys.def"
#include "cpu/insn_fp.def"
#undef SLOW
#undef OP
#undef FAST
	default:
		return NULL;
	}
}
