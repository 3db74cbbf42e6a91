/* trigger.h: what every trigger function in C does first. */
#ifndef AUTHZ_TRIGGER_H
#define AUTHZ_TRIGGER_H

#include "compat.h"
#include "commands/trigger.h"
#include "fmgr.h"

/* The trigger's data; raises if authz.<name> was called as anything else. */
static inline TriggerData *
authz_trigger_data(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("authz.%s is a trigger function", name)));
	return (TriggerData *) fcinfo->context;
}

#endif							/* AUTHZ_TRIGGER_H */
