/* The machine as a whole: each call checks that the backend can, and tells
 * subscribers what changed. */
#include "introspect/machine.h"

#include "introspect/private.h"

bool intro_type(struct intro *s, unsigned port, const void *bytes, size_t len, struct err *e)
{
	if (!s->ops->type)
		return intro_cannot(s, "take typed text", e);
	return s->ops->type(s->ctx, port, bytes, len, e);
}

bool intro_key(struct intro *s, const char *key, struct err *e)
{
	return s->ops->key ? s->ops->key(s->ctx, key, e) : intro_cannot(s, "take keys", e);
}

bool intro_nmi(struct intro *s, unsigned vcpu, struct err *e)
{
	if (!s->ops->nmi)
		return intro_cannot(s, "take an NMI", e);
	if (vcpu >= intro_vcpus(s))
		return err_set(
			e, ERR_GENERAL, "no vCPU %u; there are 0 to %u", vcpu, intro_vcpus(s) - 1);
	return s->ops->nmi(s->ctx, vcpu, e);
}

bool intro_reset(struct intro *s, struct err *e)
{
	if (!s->ops->reset)
		return intro_cannot(s, "be reset", e);
	if (s->running)
		return err_set(e, ERR_GENERAL, "it runs; pause first");
	if (!s->ops->reset(s->ctx, e))
		return false;
	s->last.over = false;
	intro_changed(s, intro_here(s), "reset");
	return true;
}

bool intro_powerdown(struct intro *s, struct err *e)
{
	return s->ops->powerdown ? s->ops->powerdown(s->ctx, e) :
		intro_cannot(s, "be switched off", e);
}

bool intro_inject(struct intro *s, struct place at, unsigned vector, unsigned type, bool has_error,
	uint32_t error, struct err *e)
{
	if (!intro_check(s, at, e))
		return false;
	if (!s->ops->inject)
		return intro_cannot(s, "inject events", e);
	if (vector > 255 || type > 7 || type == 1)
		return err_set(e, ERR_GENERAL, "an event has a vector of 0 to 255 and a type of 0 (external "
			"interrupt), 2 (NMI), 3 (hardware exception), 4, 5 or 6 (software)");
	if (!s->ops->inject(s->ctx, at, vector, type, has_error, error, e))
		return false;
	intro_changed(s, at, "injected event");
	return true;
}

size_t intro_console_read(struct intro *s, unsigned port, uint64_t *from, struct buf *out)
{
	return s->ops->console_read ? s->ops->console_read(s->ctx, port, from, out) : 0;
}

bool intro_screen(struct intro *s, struct intro_screen *out, struct err *e)
{
	return s->ops->screen ? s->ops->screen(s->ctx, out, e) : intro_cannot(s, "show a screen", e);
}

size_t intro_devices(struct intro *s, struct intro_device *out, size_t max)
{
	return s->ops->devices ? s->ops->devices(s->ctx, out, max) : 0;
}

size_t intro_memory_ranges(struct intro *s, struct intro_memory_range *out, size_t max)
{
	return s->ops->memory_ranges ? s->ops->memory_ranges(s->ctx, out, max) : 0;
}

void intro_cpu_info(struct intro *s, struct buf *out)
{
	if (s->ops->cpu_info)
		s->ops->cpu_info(s->ctx, out);
}

size_t intro_inputs(struct intro *s)
{
	return s->ops->inputs ? s->ops->inputs(s->ctx) : 0;
}

bool intro_input_at(struct intro *s, size_t i, struct intro_input *out)
{
	return s->ops->input_at && s->ops->input_at(s->ctx, i, out);
}

bool intro_inputs_save(struct intro *s, const char *path, struct err *e)
{
	return s->ops->inputs_save ? s->ops->inputs_save(s->ctx, path, e) :
		intro_cannot(s, "save its inputs", e);
}

bool intro_inputs_play(struct intro *s, const char *path, struct err *e)
{
	return s->ops->inputs_play ? s->ops->inputs_play(s->ctx, path, e) :
		intro_cannot(s, "play inputs", e);
}

static void tell_snapshot(struct intro *s, const char *path)
{
	s->generation++;
	if (intro_listening(s, EVENT_SNAPSHOT))
		intro_emit(s, &(struct event){.kind = EVENT_SNAPSHOT, .at = intro_here(s),
			.position = intro_position(s), .text = path});
}

bool intro_save(struct intro *s, const char *path, struct err *e)
{
	if (!s->ops->save)
		return intro_cannot(s, "be saved", e);
	if (s->running)
		return err_set(e, ERR_GENERAL, "it runs; pause first");
	if (!s->ops->save(s->ctx, path, e))
		return false;
	tell_snapshot(s, path);
	return true;
}

bool intro_load(struct intro *s, const char *path, struct err *e)
{
	if (!s->ops->load)
		return intro_cannot(s, "load a snapshot", e);
	if (s->running)
		return err_set(e, ERR_GENERAL, "it runs; pause first");
	if (!s->ops->load(s->ctx, path, e))
		return false;
	s->last = (struct stop_event){
		.why = WHY_START, .at = intro_here(s), .exit = UINT64_MAX, .text = "snapshot loaded"};
	s->last.position = intro_position(s);
	intro_pc(s, s->last.at, &s->last.rip);
	intro_exit_stats_reset(s);
	tell_snapshot(s, path);
	return true;
}

bool intro_hash(struct intro *s, struct state_hash *out, struct err *e)
{
	return s->ops->hash ? s->ops->hash(s->ctx, out, e) : intro_cannot(s, "be hashed", e);
}

bool intro_autopsy(struct intro *s, struct place at, bool live, struct autopsy *out, struct err *e)
{
	if (!intro_check(s, (struct place){LEVEL_L1, at.vcpu}, e))
		return false;
	if (!s->ops->autopsy)
		return intro_cannot(s, "explain VM entries (--l0 none has no L0)", e);
	return s->ops->autopsy(s->ctx, at, live, out, e);
}

bool intro_caps(struct intro *s, const char *model, cap_fn *fn, void *ctx, struct err *e)
{
	return s->ops->caps ? s->ops->caps(s->ctx, model, fn, ctx, e) :
		intro_cannot(s, "offer VMX to L1 (--l0 none)", e);
}
