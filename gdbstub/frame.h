/* Framing of the GDB remote protocol: bytes to packets and back.
 *
 * A pure state machine: it knows '$payload#checksum', escapes, acks and the
 * interrupt byte, nothing of what a packet means. A packet that grows past
 * FRAME_MAX is dropped whole and reported as FRAME_TOO_LONG.
 */
#ifndef GDBSTUB_FRAME_H
#define GDBSTUB_FRAME_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define FRAME_MAX (256u * 1024) /* bytes of payload; what PacketSize promises */

enum frame_event {
	FRAME_NONE,     /* more bytes are wanted */
	FRAME_PACKET,   /* frame->payload holds an unescaped payload */
	FRAME_BAD,      /* wrong checksum: the sender wants a '-' */
	FRAME_TOO_LONG,
	FRAME_ACK,
	FRAME_NAK,
	FRAME_INTERRUPT /* 03h outside a packet */
};

struct frame {
	enum { FRAME_IDLE, FRAME_BODY, FRAME_ESCAPE, FRAME_SUM1, FRAME_SUM2 } state;
	struct buf payload; /* owned; valid from FRAME_PACKET to the next feed */
	unsigned char sum;
	int sum_high;
	bool too_long;
};

void frame_done(struct frame *f);

/* Takes one byte. */
enum frame_event frame_feed(struct frame *f, unsigned char byte);

/* Appends '$', the escaped payload, '#' and its checksum to out. */
void frame_encode(struct buf *out, const void *payload, size_t len);

#endif
