#include "app/run.h"

#include "app/options.h"
#include "app/session.h"

#include <stdio.h>

int app_run(int argc, char **argv)
{
	struct options o;
	struct err e = {0};
	int status = 0;
	if (!options_parse(&o, argc, argv, &e)) {
		fprintf(stderr, "nestscope: %s\n", e.msg);
		status = e.status;
	} else if (o.help) {
		struct buf out = {0};
		o.help(&out);
		fputs(out.data, stdout);
		buf_done(&out);
	} else {
		status = session_run(&o);
	}
	options_done(&o);
	return status;
}
