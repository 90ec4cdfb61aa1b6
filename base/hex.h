/* Hexadecimal digits, both ways; pure functions over buffers. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2*n lower-case digits to out, without a NUL. */
void hex_encode(char *out, const void *in, size_t n);

/* Reads 2*n digits into out; false when a character is no hex digit. */
bool hex_decode(void *out, const char *in, size_t n);

/* The value of a digit, or -1. */
int hex_digit(char c);

/* Reads an unsigned number: 0x..., decimal, or a K/M/G/T suffix (powers of
 * 1024). False when s is empty, has other characters, or overflows. */
bool parse_u64(const char *s, uint64_t *out);

#endif
