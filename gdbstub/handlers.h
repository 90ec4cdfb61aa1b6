/* Prototypes of all packet handlers, from the table. */
#ifndef GDBSTUB_HANDLERS_H
#define GDBSTUB_HANDLERS_H

#include "gdbstub/conn.h"

/* A handler that several rows share is declared once per row, which C allows. */
#define PACKET(name, fn, rights, help) packet_fn fn;
#include "gdbstub/packets.def"
#undef PACKET

#endif
