/*-------------------------------------------------------------------------
 * attempt.h
 *	  Denied attempts on the audit itself are on record.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_ATTEMPT_H
#define AUTHZ_ATTEMPT_H

extern void authz_attempt_init(void);

#endif							/* AUTHZ_ATTEMPT_H */
