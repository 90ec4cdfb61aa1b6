/* virtio 1.0, 5.4 "Entropy Device". */
#include "machine/virtio_devices.h"

#include "base/buf.h"
#include "base/state.h"
#include "machine/virtio.h"

#include <stdlib.h>
#include <string.h>

#define SEED     UINT64_C(0x6e65737473636f70)
#define MOST     4096u /* bytes per request */

struct virtio_rng {
	struct virtio v;
	uint64_t seed;
};

/* splitmix64 */
static uint64_t draw(struct virtio_rng *r)
{
	uint64_t z = r->seed += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void serve(void *dev, unsigned queue)
{
	struct virtio_rng *r = dev;
	while (virtio_pop(&r->v, queue)) {
		uint8_t bytes[MOST];
		uint32_t n = r->v.chain.writable < MOST ? (uint32_t)r->v.chain.writable : MOST;
		for (uint32_t i = 0; i < n; i += 8) {
			uint64_t v = draw(r);
			memcpy(bytes + i, &v, 8);
		}
		if (!virtio_put(&r->v, 0, bytes, n)) {
			virtio_broken(&r->v, "a buffer outside memory");
			return;
		}
		virtio_push(&r->v, queue, r->v.chain.head, n);
	}
}

static const struct virtio_ops ops = {.notify = serve};

struct virtio_rng *virtio_rng_new(struct machine *m)
{
	struct virtio_rng *r = xalloc(sizeof(*r));
	r->seed = SEED;
	virtio_init(&r->v, m, VIRTIO_ID_RNG, 1, 0, 0, &ops, r, "virtio-rng");
	return r;
}

void virtio_rng_free(struct virtio_rng *r)
{
	free(r);
}

void virtio_rng_state(struct virtio_rng *r, struct state *s)
{
	state_section(s, "virtio-rng", 1);
	virtio_state(&r->v, s);
	state_u64(s, &r->seed);
}
