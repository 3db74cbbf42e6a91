/*-------------------------------------------------------------------------
 * issue.h
 *	  Signing of what the extension itself issues, by libjwt, loaded on first
 *	  use.  The only file that touches libjwt.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_ISSUE_H
#define AUTHZ_ISSUE_H

#include "compat.h"

/*
 * Compact HS256 JWS over a claims set (JSON text of an object, in UTF-8), with
 * `kid`, not empty, in its header.  The secret has `secret_length` bytes, at
 * least 32.  palloc'd result.  Raises if libjwt is missing or another module
 * has loaded it, and if a number of the claims would not come out the same:
 * integers of 64 bits do, others only as far as a double holds them.
 */
extern char *authz_issue_hs256(const char *claims_json, const char *kid,
							   const unsigned char *secret, size_t secret_length);

#endif							/* AUTHZ_ISSUE_H */
