#include "plugins/control_json.h"

#include "plugins/host.h"

#include <stdlib.h>
#include <string.h>

static void set_u64(json_t *v, const char *key, uint64_t value)
{
	if (value != NESTSCOPE_NONE)
		json_object_set_new(v, key, json_integer((json_int_t)value));
}

/* Addresses and bit patterns are strings: 64 bits do not fit JSON's numbers. */
static void set_hex(json_t *v, const char *key, uint64_t value)
{
	if (value != NESTSCOPE_NONE)
		json_object_set_new(v, key, json_sprintf("0x%llx", (unsigned long long)value));
}

json_t *control_event(const struct nestscope_event *ev)
{
	json_t *v = json_object();
	json_object_set_new(v, "event", json_string(ev->kind));
	set_u64(v, "level", ev->level);
	set_u64(v, "vcpu", ev->vcpu);
	set_u64(v, "clock", ev->clock);
	bool table = !strcmp(ev->kind, "ept-change") || !strcmp(ev->kind, "table-change");
	if (ev->has_exit) {
		set_u64(v, "seq", ev->seq);
		set_u64(v, "from", ev->from);
		set_u64(v, "to", ev->to);
		json_object_set_new(v, "reason", json_string(plugin_host.reason_name(NULL, ev->reason)));
		json_object_set_new(v, "reflected", json_boolean(ev->reflected));
		set_hex(v, "qualification", ev->qualification);
		set_hex(v, "detail", ev->detail);
		set_hex(v, "gpa", ev->gpa);
		set_u64(v, "cause", ev->cause);
		set_u64(v, "cost", ev->cost);
	} else {
		set_hex(v, "address", ev->address);
	}
	if (!ev->has_exit || ev->write) {
		set_hex(v, "value", ev->value);
		set_hex(v, "old_value", ev->old_value);
	}
	if (ev->access_size)
		set_u64(v, "access_size", ev->access_size);
	if (table) {
		set_hex(v, "gpa", ev->gpa);
		set_u64(v, "from", ev->from);
	}
	set_hex(v, "rip", ev->rip);
	if (ev->field)
		json_object_set_new(v, "field", json_string(plugin_host.field_name(NULL, ev->field)));
	if (ev->text) {
		json_t *text = json_string(ev->text);
		json_object_set_new(v, "text", text ? text : json_string("(not UTF-8)"));
	}
	return v;
}

json_t *control_stop(const struct stop_event *ev)
{
	json_t *v = json_object();
	json_object_set_new(v, "why", json_string(stop_why_name(ev->why)));
	set_u64(v, "level", ev->at.level);
	set_u64(v, "vcpu", ev->at.vcpu);
	set_hex(v, "rip", ev->rip);
	set_u64(v, "clock", ev->position.clock);
	if (ev->stop)
		set_u64(v, "stop", ev->stop);
	if (ev->exit != UINT64_MAX)
		set_u64(v, "seq", ev->exit);
	json_object_set_new(v, "over", json_boolean(ev->over));
	set_u64(v, "status", (uint64_t)ev->status);
	json_object_set_new(v, "text", json_string(ev->text));
	return v;
}

static bool level_bits(const json_t *v, uint32_t *bits)
{
	json_int_t n = json_integer_value(v);
	if (!json_is_integer(v) || n < 1 || n > 31)
		return false;
	*bits = n == 2 ? ~3u : 1u << n;
	return true;
}

static uint64_t number(const json_t *v)
{
	return json_is_string(v) ? strtoull(json_string_value(v), NULL, 0) :
		(uint64_t)json_integer_value(v);
}

const char *control_filter(json_t *given, struct nestscope_filter *f)
{
	const char *key;
	json_t *v;
	json_object_foreach(given, key, v) {
		if (!strcmp(key, "level")) {
			if (!level_bits(v, &f->levels))
				return "level is 1, 2 (any L2), or a later L2's number";
		} else if (!strcmp(key, "vcpu")) {
			f->vcpu = (int32_t)json_integer_value(v);
		} else if (!strcmp(key, "reason")) {
			f->reasons = json_string_value(v);
		} else if (!strcmp(key, "field")) {
			f->field = json_string_value(v);
		} else if (!strcmp(key, "condition")) {
			f->condition = json_string_value(v);
		} else if (!strcmp(key, "every")) {
			f->every = number(v);
		} else if (!strcmp(key, "period")) {
			f->period = number(v);
		} else if (!strcmp(key, "range")) {
			f->has_range = 1;
			f->low = number(json_array_get(v, 0));
			f->high = number(json_array_get(v, 1));
		} else {
			return "a filter has level, vcpu, reason, field, range, every, period, condition";
		}
	}
	return NULL;
}
