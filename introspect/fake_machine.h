/* The recorded machine's data; for fake*.c alone. */
#ifndef INTROSPECT_FAKE_MACHINE_H
#define INTROSPECT_FAKE_MACHINE_H

#include "introspect/fake.h"

#include "base/phys.h"

#define FAKE_RAM     0x400000u /* L1-physical and host-physical, from 0 */
#define FAKE_PRIVATE 0x10000u  /* L0's own pages, from PHYS_PRIVATE */
#define FAKE_RECORDS 8192u     /* ring; a power of two */
#define FAKE_WRITES  4096u
#define FAKE_WATCHES 64u

/* Where things lie. L1-physical: */
#define FAKE_L1_CODE_PA  0x200000u
#define FAKE_L2_RAM_PA   0x100000u /* L2-physical 0 */
#define FAKE_L1_PML4     0x10000u
#define FAKE_EPT12_PML4  0x20000u
#define FAKE_L2_PAGES    16u
/* L2-physical: */
#define FAKE_L2_PML4     0x1000u
#define FAKE_L2_HOLE_PA  0x9000u

struct fake_watch {
	unsigned id;
	struct backend_watch w;
};

struct fake {
	uint8_t *ram, *priv;     /* owned */
	struct reg_value reg[3][R_COUNT]; /* by level 1, 2 */
	unsigned level;          /* what runs: 1 or 2 */
	uint64_t clock, ordinal, retired;
	uint64_t *vmcs[INTRO_VMCS_COUNT]; /* owned; by field index */
	struct exit_record ring[FAKE_RECORDS];
	uint64_t exits;
	struct intro_vmcs_write write[FAKE_WRITES];
	uint64_t writes;
	uint64_t reflected;      /* seq of the open reflected exit; UINT64_MAX: none */
	uint64_t reflected_at;   /* its clock */
	uint64_t entries, l2_exits;
	struct backend_sink sink;
	unsigned wants;
	bool asked;              /* the sink wanted a stop */
	uint64_t *mark;          /* owned */
	unsigned marks;
	bool over_mark;
	struct fake_watch watch[FAKE_WATCHES];
	unsigned next_watch;
	struct fake_watch *hit;  /* the first of the instruction under way */
	unsigned hit_id[8], hits; /* all of them */
	uint64_t hit_at;
	unsigned hit_size;
	bool hit_write;
	struct buf console;
	uint64_t inputs;
	struct {
		const char *name; /* a literal of ours */
		const struct intro_field *field;
	} named[256]; /* by the literal's address */
};

/* fake_tables.c: page tables of all levels, and the code bytes. */
void fake_build_memory(struct fake *f);

/* fake_run.c: executes one instruction of the script. */
void fake_step(struct fake *f);
uint64_t fake_get(const struct fake *f, unsigned level, enum reg_id id);
void fake_put(struct fake *f, unsigned level, enum reg_id id, uint64_t v);
struct exit_record *fake_record(struct fake *f, struct exit_record r);
uint64_t *fake_field(struct fake *f, enum intro_vmcs which, const char *name);
void fake_vmwrite(struct fake *f, const char *name, uint64_t value);
void fake_exit_to_l1(struct fake *f, uint32_t reason, uint64_t detail, uint64_t qualification);
void fake_resume(struct fake *f);

extern const struct intro_backend_ops fake_ops;

#endif
