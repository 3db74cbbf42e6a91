/*-------------------------------------------------------------------------
 * unknownrole.h
 *	  How often tokens stated roles that do not exist.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_UNKNOWNROLE_H
#define AUTHZ_UNKNOWNROLE_H

#include "compat.h"

/* Count roles of one verified token, the first ones if there are many.  Takes no lock, writes nothing. */
extern void authz_unknownrole_count(const char *issuer, const char *const *roles, int nroles);

extern void authz_unknownrole_init(void);

#endif							/* AUTHZ_UNKNOWNROLE_H */
