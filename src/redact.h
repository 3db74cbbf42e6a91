/*-------------------------------------------------------------------------
 * redact.h
 *	  Keeps tokens out of the server's log and of pg_stat_activity.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_REDACT_H
#define AUTHZ_REDACT_H

#include "compat.h"

/*
 * A token is being set by what the client has just sent: from here on its text
 * is shown in pg_stat_activity without the token (not at all if the token does
 * not stand there in one piece, or is not known yet: NULL), and not logged as
 * the STATEMENT of a later error.
 */
extern void authz_redact_token_set(const char *token);

extern void authz_redact_init(void);

#endif							/* AUTHZ_REDACT_H */
