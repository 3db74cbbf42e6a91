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
#endif

#endif							/* AUTHZ_COMPAT_H */
