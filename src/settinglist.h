/*-------------------------------------------------------------------------
 * settinglist.h
 *	  Which of PostgreSQL's functions read settings of the session.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_SETTINGLIST_H
#define AUTHZ_SETTINGLIST_H

#include "compat.h"

/* The hint where there is no better one. */
#define AUTHZ_SETTING_HINT \
	"Write it in another way; where this cannot be, give the reason in reads_settings."

/* When an accepted function reads no setting.  `arg` of a rule counts from 0. */
typedef enum AuthzSettingRule
{
	AUTHZ_ALWAYS,
	AUTHZ_PLAIN_ARGUMENTS,	/* if no argument's conversion to text reads one */
	AUTHZ_FIXED_ZONE,		/* if the argument is the constant name of a time zone, no abbreviation */
	AUTHZ_EPOCH,			/* if the argument is the constant 'epoch' */
	AUTHZ_FIXED_INTERVAL,	/* if the argument is a constant interval without days and months */
	AUTHZ_TIME_FORMAT,		/* if the argument is a constant format without names of a language (TM) */
	AUTHZ_NUMBER_FORMAT		/* if the argument is a constant format of digits, point and comma */
} AuthzSettingRule;

typedef struct AuthzAccepted
{
	Oid			function;
	AuthzSettingRule rule;
	int			arg;
} AuthzAccepted;

/* What PostgreSQL's functions read, and what to write instead. */
typedef struct AuthzKnownReader
{
	Oid			function;
	const char *reads;
	const char *hint;
} AuthzKnownReader;

/* NULL if it is not in the list. */
extern const AuthzAccepted *authz_settinglist_accepted(Oid function);
extern const AuthzKnownReader *authz_settinglist_known(Oid function);

#endif							/* AUTHZ_SETTINGLIST_H */
