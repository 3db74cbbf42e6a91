/*-------------------------------------------------------------------------
 * attribute.h
 *	  Values of attributes as SQL types.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_ATTRIBUTE_H
#define AUTHZ_ATTRIBUTE_H

#include "compat.h"
#include "utils/jsonb.h"

/*
 * From a JSON value that is not null to a datum, palloc'd if it is passed by
 * reference.  False if the value has not exactly the form of the type; never
 * raises for what it holds.
 */
typedef bool (*AuthzAttributeConverter) (const JsonbValue *value, Datum *result);

typedef struct AuthzAttributeType
{
	AuthzAttributeConverter convert;
	bool		by_value;
	int			length;			/* as pg_type.typlen */
} AuthzAttributeType;

extern const AuthzAttributeType authz_attribute_text;	/* also numbers and booleans */
extern const AuthzAttributeType authz_attribute_bigint;
extern const AuthzAttributeType authz_attribute_boolean;
extern const AuthzAttributeType authz_attribute_uuid;
extern const AuthzAttributeType authz_attribute_timestamptz;
extern const AuthzAttributeType authz_attribute_jsonb;
extern const AuthzAttributeType authz_attribute_text_array;
extern const AuthzAttributeType authz_attribute_bigint_array;
extern const AuthzAttributeType authz_attribute_uuid_array;

#endif							/* AUTHZ_ATTRIBUTE_H */
