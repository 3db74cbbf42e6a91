/*-------------------------------------------------------------------------
 * image.h
 *	  Values of a row as a jsonb object: what the audit log keeps of it.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_IMAGE_H
#define AUTHZ_IMAGE_H

#include "compat.h"
#include "lib/stringinfo.h"

#include "imagetype.h"

/* Builds one image after the other. */
typedef struct AuthzImage
{
	StringInfoData buffer;
	uint64		digits;			/* characters of the numbers in it */
	uint64		limit;			/* of its characters, for the value at hand */
	int			depth;			/* of containers that are begun */
	bool		refused;		/* the value at hand has no place */
} AuthzImage;

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
 * place in it is written as {"length": bytes, "sha256": hex}: of its text; of
 * the bytes that are stored for bytea, jsonb, arrays and composites, whose text
 * might not fit into memory.  Runs output functions of the columns' types as
 * the current user, casts never.
 */
extern Datum authz_image_build(AuthzImage *image, const AuthzImageColumn *const *columns, int n,
							   const Datum *values, const bool *isnull, MemoryContext result_context);

/* Are two values of a column the same, bit by bit? */
extern bool authz_image_equal(const AuthzImageColumn *column, Datum a, bool a_isnull, Datum b, bool b_isnull);

#endif							/* AUTHZ_IMAGE_H */
