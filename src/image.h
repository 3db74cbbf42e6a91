/*-------------------------------------------------------------------------
 * image.h
 *	  Values of a row as a jsonb object: what the audit log keeps of it.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_IMAGE_H
#define AUTHZ_IMAGE_H

#include "compat.h"
#include "access/attnum.h"
#include "access/tupdesc.h"
#include "lib/stringinfo.h"

typedef struct AuthzImageType AuthzImageType;

/* One column that goes into images. */
typedef struct AuthzImageColumn
{
	int			index;			/* in arrays of values: attribute number - 1 */
	const char *name;
	int			name_length;
	const AuthzImageType *type;
	bool		hidden;			/* written as {"masked": true}, whatever it is; the caller's to set */
	bool		byval;			/* as in pg_attribute, to compare values */
	int16		length;
} AuthzImageColumn;

/* Builds one image after the other. */
typedef struct AuthzImage
{
	StringInfoData buffer;
	bool		overflow;		/* the value at hand does not fit */
} AuthzImage;

/*
 * The columns of a row type that are not dropped, in the order in which jsonb
 * keeps its keys; palloc'd in the current context, which must outlive them.
 */
extern AuthzImageColumn *authz_image_columns(TupleDesc descriptor, int *n);

/* Does the text of some of these columns depend on parameters of the session? */
extern bool authz_image_needs_settings(const AuthzImageColumn *columns, int n);

/*
 * Make the text of values independent of the session's parameters, as long as
 * it is built; *level goes to leave, which an error replaces.
 */
extern int	authz_image_enter_settings(void);
extern void authz_image_leave_settings(int level);

extern void authz_image_init(AuthzImage *image);

/*
 * A jsonb object of the given columns, which are in jsonb's order; palloc'd in
 * `result_context`.  The current context is littered.  A value that has no
 * place in it is written as {"length": bytes, "sha256": hex} of its text (of
 * the bytes themselves for bytea).  Runs output functions of the columns'
 * types as the current user, casts never.
 */
extern Datum authz_image_build(AuthzImage *image, const AuthzImageColumn *const *columns, int n,
							   const Datum *values, const bool *isnull, MemoryContext result_context);

/* Are two values of a column the same, bit by bit? */
extern bool authz_image_equal(const AuthzImageColumn *column, Datum a, bool a_isnull, Datum b, bool b_isnull);

#endif							/* AUTHZ_IMAGE_H */
