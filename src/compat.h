/*-------------------------------------------------------------------------
 * compat.h
 *	  The only place that asks for the PostgreSQL version.
 *
 * A major that has not been tried is refused at compile time: an extension
 * that stands between a person and a row must not guess.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_COMPAT_H
#define AUTHZ_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 160000
#error "authz has been tested with PostgreSQL 15 only"
#elif PG_VERSION_NUM < 150004
/* The sealer asks whether a DROP DATABASE was interrupted, which older ones do not know. */
#error "authz needs PostgreSQL 15.4 or a later minor release of 15"
#endif

#endif							/* AUTHZ_COMPAT_H */
