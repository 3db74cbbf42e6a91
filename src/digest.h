/* digest.h: SHA-256, over pieces. */
#ifndef AUTHZ_DIGEST_H
#define AUTHZ_DIGEST_H

#include "compat.h"

#define AUTHZ_DIGEST_LENGTH 32

/*
 * One digest at a time in a backend: begin, add any number of pieces, end.
 * Each raises if libcrypto cannot.
 */
extern void authz_digest_begin(void);
extern void authz_digest_add(const void *data, size_t length);
extern void authz_digest_end(uint8 *digest);

/* The whole of one piece. */
extern void authz_digest_of(const void *data, size_t length, uint8 *digest);

/* 2 * AUTHZ_DIGEST_LENGTH hexadecimal digits, not terminated. */
extern void authz_digest_to_hex(const uint8 *digest, char *hex);

#endif							/* AUTHZ_DIGEST_H */
