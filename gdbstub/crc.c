#include "gdbstub/conn.h"

/* gdb's CRC: polynomial 04C11DB7h, most significant bit first, no final xor. */
uint32_t gdb_crc32(uint32_t crc, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= (uint32_t)p[i] << 24;
		for (int k = 0; k < 8; k++)
			crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
	}
	return crc;
}
