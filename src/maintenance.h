/*-------------------------------------------------------------------------
 * maintenance.h
 *	  An owner at maintenance: not filtered on the tables that they own.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_MAINTENANCE_H
#define AUTHZ_MAINTENANCE_H

#include "compat.h"

#include "identity.h"

/* May the present database role read and write the table unfiltered?  `owner` is of the table whose policies hold. */
extern bool authz_maintenance_covers(const AuthzIdentity *identity, Oid relid, Oid owner, Oid check_as_user);

/* The signature that plans are marked with: the identity's, and another one for a role at maintenance. */
extern uint64 authz_maintenance_sign(uint64 signature);

/* Tell an owner without identity, once a session, why they see nothing. */
extern void authz_maintenance_warn(const AuthzIdentity *identity, Oid relid, Oid check_as_user);

extern void authz_maintenance_init(void);

#endif							/* AUTHZ_MAINTENANCE_H */
