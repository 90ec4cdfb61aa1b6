/* Puts a loader's start state into effect. */
#ifndef L0_START_H
#define L0_START_H

struct load_entry;
struct machine;
struct vcpu;

/* What firmware leaves in every processor: MTRRs. */
void start_firmware(struct vcpu *c, const struct machine *m);

/* The first processor stands at the guest's entry. */
void start_entry(struct vcpu *c, const struct load_entry *entry);

#endif
