/* plugin, lua: the plugin host's, where there is one. */
#include "command/cmds.h"

static bool pass_on(struct shell *sh, bool lua, struct args *a, struct output *o, struct err *e)
{
	const char *rest = args_rest(a);
	if (!sh->plugins)
		return err_set(e, ERR_GENERAL, "there is no plugin host here; nestscope run has one");
	if (lua && !rest)
		return err_set(e, ERR_GENERAL, "a line of Lua is missing, e.g. lua nestscope.reg(\"rip\")");
	return sh->plugins(sh->plugins_ctx, lua, rest ? rest : "", o, e);
}

bool cmd_plugin(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	return pass_on(sh, false, a, o, e);
}

bool cmd_lua(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	return pass_on(sh, true, a, o, e);
}
