#include "base/loop.h"

#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>

struct watcher {
	int id; /* 0: free slot */
	int fd;
	short events;
	loop_fd_fn *fn; /* NULL: a source */
	void *ctx;
	struct loop_source source;
};

struct loop {
	struct watcher *watcher; /* owned */
	unsigned watchers;
	int last_id;
	struct pollfd *poll; /* owned; rebuilt at each poll */
	int *poll_id;        /* owned; the watcher of each entry, 0 = extra */
	unsigned polls, poll_cap;
};

struct loop *loop_new(void)
{
	return xalloc(sizeof(struct loop));
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	free(l->watcher);
	free(l->poll);
	free(l->poll_id);
	free(l);
}

static struct watcher *slot(struct loop *l)
{
	for (unsigned i = 0; i < l->watchers; i++)
		if (!l->watcher[i].id)
			return &l->watcher[i];
	l->watcher = xresize(l->watcher, (l->watchers + 1) * sizeof(*l->watcher));
	return &l->watcher[l->watchers++];
}

static struct watcher *find(const struct loop *l, int id)
{
	for (unsigned i = 0; id && i < l->watchers; i++)
		if (l->watcher[i].id == id)
			return &l->watcher[i];
	return NULL;
}

int loop_add(struct loop *l, int fd, short events, loop_fd_fn *fn, void *ctx)
{
	struct watcher *w = slot(l);
	*w = (struct watcher){.id = ++l->last_id, .fd = fd, .events = events, .fn = fn, .ctx = ctx};
	return w->id;
}

int loop_add_source(struct loop *l, const struct loop_source *s)
{
	struct watcher *w = slot(l);
	*w = (struct watcher){.id = ++l->last_id, .fd = -1, .source = *s};
	return w->id;
}

void loop_events(struct loop *l, int id, short events)
{
	struct watcher *w = find(l, id);
	if (w)
		w->events = events;
}

void loop_del(struct loop *l, int id)
{
	struct watcher *w = find(l, id);
	if (w)
		w->id = 0;
}

static int push(struct loop *l, int id, int fd, short events)
{
	if (l->polls == l->poll_cap) {
		l->poll_cap = l->poll_cap ? l->poll_cap * 2 : 16;
		l->poll = xresize(l->poll, l->poll_cap * sizeof(*l->poll));
		l->poll_id = xresize(l->poll_id, l->poll_cap * sizeof(*l->poll_id));
	}
	l->poll[l->polls] = (struct pollfd){.fd = fd, .events = events};
	l->poll_id[l->polls] = id;
	return (int)l->polls++;
}

int loop_extra(struct loop *l, int fd, short events)
{
	return push(l, 0, fd, events);
}

short loop_extra_revents(const struct loop *l, int index)
{
	assert(index >= 0 && (unsigned)index < l->polls);
	return l->poll[index].revents;
}

bool loop_poll(struct loop *l, int timeout_ms)
{
	bool served = false;
	l->polls = 0;
	for (unsigned i = 0; i < l->watchers; i++)
		if (l->watcher[i].id && !l->watcher[i].fn)
			l->watcher[i].source.before(l->watcher[i].source.ctx, &timeout_ms);
	for (unsigned i = 0; i < l->watchers; i++)
		if (l->watcher[i].id && l->watcher[i].fn)
			push(l, l->watcher[i].id, l->watcher[i].fd, l->watcher[i].events);
	if (!l->polls && !timeout_ms)
		return false;
	int n = poll(l->poll, l->polls, timeout_ms);
	for (unsigned i = 0; n < 0 && i < l->polls; i++)
		l->poll[i].revents = 0;
	for (unsigned i = 0; i < l->watchers; i++)
		if (l->watcher[i].id && !l->watcher[i].fn && l->watcher[i].source.after)
			l->watcher[i].source.after(l->watcher[i].source.ctx);
	for (unsigned i = 0; n > 0 && i < l->polls; i++) {
		const struct watcher *w = find(l, l->poll_id[i]);
		if (!l->poll[i].revents || !w)
			continue;
		w->fn(w->ctx, l->poll[i].revents);
		served = true;
	}
	return served || n > 0;
}
