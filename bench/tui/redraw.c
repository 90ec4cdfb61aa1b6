/* redraw: microseconds of processor time that a redraw takes, by panel and by
 * layout, on the recorded machine (which has a full exit ring). The terminal's
 * own part is not in it; bench/tui/run measures the whole program. */
#include "introspect/fake.h"
#include "introspect/run.h"
#include "tui/tui.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 100

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Mean of redraws, the machine a step further at each. */
static double redraw(struct tui *t, struct intro *s, struct grid *g)
{
	double sum = 0;
	for (int i = 0; i < ROUNDS; i++) {
		struct err e = {0};
		intro_step(s, intro_here(s), STEP_THROUGH, 1, &e);
		intro_run(s);
		double start = now();
		tui_draw(t, g);
		sum += now() - start;
	}
	return sum / ROUNDS;
}

static struct tui *fresh(struct intro **s)
{
	struct err e = {0};
	*s = fake_session();
	struct tui *t = tui_new(&(struct tui_config){.session = *s}, &e);
	if (!t)
		exit(1);
	return t;
}

int main(void)
{
	static const int size[][2] = {{80, 24}, {120, 40}, {200, 60}};
	static const char *const layouts[] = {"storm", "entry", "ept", "code", "console"};
	const char *name, *help;
	double worst = 0;
	printf("%-16s %8s %8s %8s  us\n", "", "80x24", "120x40", "200x60");
	for (unsigned i = 0;; i++) {
		bool view = tui_view_at(i < 5 ? 0 : i - 5, &name, &help);
		if (!view)
			break;
		printf("%-6s %-9s", i < 5 ? "layout" : "panel", i < 5 ? layouts[i] : name);
		for (int k = 0; k < 3; k++) {
			struct intro *s;
			struct tui *t = fresh(&s);
			struct grid g;
			grid_init(&g, size[k][0], size[k][1]);
			if (i < 5) {
				tui_key(t, PANEL_KEY_F1 + 1 + i);
			} else {
				tui_key(t, 'z'); /* from the exits panel, alone, to the i-th */
				tui_key(t, '[');
				for (unsigned n = 5; n < i; n++)
					tui_key(t, ']');
			}
			double us = redraw(t, s, &g);
			worst = us > worst ? us : worst;
			printf(" %8.0f", us);
			grid_done(&g);
			tui_free(t);
			intro_free(s);
		}
		printf("\n");
	}
	printf("the slowest redraw takes %.2f ms (wanted: 1.5)\n", worst / 1000);
	return 0;
}
