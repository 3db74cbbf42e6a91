/*-------------------------------------------------------------------------
 * imagetype.h
 *	  How values of a type are written into images.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_IMAGETYPE_H
#define AUTHZ_IMAGETYPE_H

#include "compat.h"
#include "access/attnum.h"
#include "access/tupdesc.h"
#include "fmgr.h"

/* How a value is written. */
typedef enum AuthzImageKind
{
	AUTHZ_IMAGE_OUTPUT = 0,	/* a string: what the type's output function says */
	AUTHZ_IMAGE_BOOL,
	AUTHZ_IMAGE_INT2,
	AUTHZ_IMAGE_INT4,
	AUTHZ_IMAGE_INT8,
	AUTHZ_IMAGE_OID,
	AUTHZ_IMAGE_NUMERIC,
	AUTHZ_IMAGE_FLOAT4,
	AUTHZ_IMAGE_FLOAT8,
	AUTHZ_IMAGE_TEXT,			/* the bytes are the string; json too, which is kept to the letter */
	AUTHZ_IMAGE_NAME,
	AUTHZ_IMAGE_CHAR,			/* "char"; what is not ASCII as \ooo */
	AUTHZ_IMAGE_DATETIME,		/* ISO 8601, UTC */
	AUTHZ_IMAGE_BYTEA,			/* hexadecimal */
	AUTHZ_IMAGE_JSONB,
	AUTHZ_IMAGE_ARRAY,
	AUTHZ_IMAGE_COMPOSITE
} AuthzImageKind;

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

/* The columns of a row type, as long as the type is what it was. */
typedef struct AuthzImageRow
{
	MemoryContext context;		/* of all that follows */
	TupleDesc	descriptor;		/* pinned: as long as it is, a changed type has another one */
	MemoryContextCallback unpin;
	int			n;
	const AuthzImageColumn **columns;
	Datum	   *values;			/* room for a row, by attribute */
	bool	   *isnull;
} AuthzImageRow;

struct AuthzImageType
{
	MemoryContext context;		/* where it is */
	AuthzImageKind kind;
	Oid			base;			/* below domains */
	bool		by_settings;	/* the output function's text depends on parameters of the session */
	bool		by_names;		/* the same of how names of objects are written */
	FmgrInfo	output;
	AuthzImageType *element;	/* of an array */
	int16		element_length;
	bool		element_byval;
	char		element_align;
	AuthzImageRow *row;			/* of a composite: of the last value; NULL: none yet */
};

/*
 * The columns of a row type that are not dropped, in the order in which jsonb
 * keeps its keys; palloc'd in the current context, which must outlive them.
 */
extern AuthzImageColumn *authz_imagetype_columns(TupleDesc descriptor, int *n);

/* Does the text of some of these columns depend on parameters of the session?  See authz_image_enter_settings. */
extern bool authz_imagetype_need_settings(const AuthzImageColumn *columns, int n);

/*
 * What a composite's rows are made of, by the descriptor of the value at hand:
 * made anew if that is of another type (of an anonymous record) than the last
 * one, or the type was altered.  Good until the next call for this type.
 */
extern const AuthzImageRow *authz_imagetype_row(const AuthzImageType *type, TupleDesc descriptor);

/*
 * What the type's output function says, with the same names of objects whatever
 * the session's search_path and quoting; palloc'd.
 */
extern char *authz_imagetype_text(const AuthzImageType *type, Datum value);

#endif							/* AUTHZ_IMAGETYPE_H */
