/* Names of exit reasons and instruction errors. */
#include "vmx/codes.h"

#include <stddef.h>
#include <strings.h>

struct code {
	const char *name, *text;
};

static const struct code reasons[] = {
#define EXIT_REASON(n, name, text) [n] = {#name, text},
#include "vmx/exit_reasons.def"
#undef EXIT_REASON
};

static const struct code errors[] = {
#define INSN_ERROR(n, name, text) [n] = {#name, text},
#include "vmx/insn_errors.def"
#undef INSN_ERROR
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

const char *vmx_exit_reason_name(unsigned basic_reason)
{
	return basic_reason < COUNT(reasons) ? reasons[basic_reason].name : NULL;
}

const char *vmx_exit_reason_text(unsigned basic_reason)
{
	return basic_reason < COUNT(reasons) ? reasons[basic_reason].text : NULL;
}

const char *vmx_insn_error_name(unsigned error)
{
	return error < COUNT(errors) ? errors[error].name : NULL;
}

const char *vmx_insn_error_text(unsigned error)
{
	return error < COUNT(errors) ? errors[error].text : NULL;
}

int vmx_exit_reason_find(const char *name)
{
	for (unsigned i = 0; i < COUNT(reasons); i++)
		if (reasons[i].name && !strcasecmp(reasons[i].name, name))
			return i;
	return -1;
}
