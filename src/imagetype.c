/*-------------------------------------------------------------------------
 * imagetype.c
 *	  How values of a type are written into images.
 *
 * A type is looked at once and kept with the columns it is for.  What of a
 * composite may be altered under it, its row type, is made when a value comes
 * and kept as long as the type cache has the same descriptor: arrays have many
 * composites.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "imagetype.h"

static AuthzImageKind
kind_of(Oid base)
{
	switch (base)
	{
		case BOOLOID:
			return AUTHZ_IMAGE_BOOL;
		case INT2OID:
			return AUTHZ_IMAGE_INT2;
		case INT4OID:
			return AUTHZ_IMAGE_INT4;
		case INT8OID:
			return AUTHZ_IMAGE_INT8;
		case OIDOID:
			return AUTHZ_IMAGE_OID;
		case NUMERICOID:
			return AUTHZ_IMAGE_NUMERIC;
		case FLOAT4OID:
			return AUTHZ_IMAGE_FLOAT4;
		case FLOAT8OID:
			return AUTHZ_IMAGE_FLOAT8;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case JSONOID:
			return AUTHZ_IMAGE_TEXT;
		case NAMEOID:
			return AUTHZ_IMAGE_NAME;
		case CHAROID:
			return AUTHZ_IMAGE_CHAR;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return AUTHZ_IMAGE_DATETIME;
		case BYTEAOID:
			return AUTHZ_IMAGE_BYTEA;
		case JSONBOID:
			return AUTHZ_IMAGE_JSONB;
		default:
			return AUTHZ_IMAGE_OUTPUT;
	}
}

/* Of a type that is written by its output function. */
static void
look_at_output(AuthzImageType *type)
{
	switch (type->base)
	{
		case UUIDOID:
		case INETOID:
		case CIDROID:
		case MACADDROID:
		case MACADDR8OID:
		case TIMEOID:
		case BITOID:
		case VARBITOID:
		case XMLOID:
		case TSVECTOROID:
		case TSQUERYOID:
		case PG_LSNOID:
		case INT4RANGEOID:
		case INT8RANGEOID:
		case NUMRANGEOID:
			return;
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGTYPEOID:
		case REGROLEOID:
		case REGNAMESPACEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGCOLLATIONOID:
			type->by_names = true;
			return;
		default:
			type->by_settings = !type_is_enum(type->base);
			/* A range may be of one of those. */
			type->by_names = type->by_settings && type->base >= FirstNormalObjectId;
	}
}

static AuthzImageType *
make_type(Oid typid)
{
	AuthzImageType *type = palloc0(sizeof(AuthzImageType));
	Oid			output;
	Oid			element;
	bool		is_varlena;

	check_stack_depth();
	type->context = CurrentMemoryContext;
	type->base = getBaseType(typid);
	type->kind = kind_of(type->base);
	getTypeOutputInfo(type->base, &output, &is_varlena);
	fmgr_info_cxt(output, &type->output, CurrentMemoryContext);
	element = get_base_element_type(type->base);
	if (OidIsValid(element))
	{
		type->kind = AUTHZ_IMAGE_ARRAY;
		type->element = make_type(element);
		type->by_settings = type->element->by_settings;
		get_typlenbyvalalign(element, &type->element_length, &type->element_byval, &type->element_align);
	}
	else if (type_is_rowtype(type->base))
	{
		type->kind = AUTHZ_IMAGE_COMPOSITE;
		type->by_settings = true;	/* for all that is known here */
	}
	else if (type->kind == AUTHZ_IMAGE_OUTPUT)
		look_at_output(type);
	return type;
}

/* jsonb's order of keys: by length, then by bytes. */
static int
compare_columns(const void *a, const void *b)
{
	const AuthzImageColumn *left = a;
	const AuthzImageColumn *right = b;

	if (left->name_length != right->name_length)
		return left->name_length - right->name_length;
	return memcmp(left->name, right->name, left->name_length);
}

AuthzImageColumn *
authz_imagetype_columns(TupleDesc descriptor, int *n)
{
	AuthzImageColumn *columns = palloc_array(AuthzImageColumn, Max(descriptor->natts, 1));

	*n = 0;
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		AuthzImageColumn *column = &columns[*n];

		if (attribute->attisdropped)
			continue;
		column->index = i;
		column->name = pstrdup(NameStr(attribute->attname));
		column->hidden = false;
		column->name_length = strlen(column->name);
		column->type = make_type(attribute->atttypid);
		column->byval = attribute->attbyval;
		column->length = attribute->attlen;
		(*n)++;
	}
	qsort(columns, *n, sizeof(AuthzImageColumn), compare_columns);
	return columns;
}

bool
authz_imagetype_need_settings(const AuthzImageColumn *columns, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (columns[i].type->by_settings)
			return true;
	}
	return false;
}

static void
unpin_descriptor(void *descriptor)
{
	TupleDesc	pinned = descriptor;

	if (pinned->tdrefcount > 0 && --pinned->tdrefcount == 0)
		FreeTupleDesc(pinned);
}

static AuthzImageRow *
make_row_type(TupleDesc descriptor)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "authz image row type", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	AuthzImageRow *row = palloc0(sizeof(AuthzImageRow));
	AuthzImageColumn *columns = authz_imagetype_columns(descriptor, &row->n);

	row->context = context;
	row->columns = palloc_array(const AuthzImageColumn *, row->n + 1);
	for (int i = 0; i < row->n; i++)
		row->columns[i] = &columns[i];
	row->values = palloc_array(Datum, descriptor->natts + 1);
	row->isnull = palloc_array(bool, descriptor->natts + 1);
	if (descriptor->tdrefcount >= 0)
	{
		/* Not by PinTupleDesc: it is not the resource owner's. */
		row->descriptor = descriptor;
		descriptor->tdrefcount++;
		row->unpin.func = unpin_descriptor;
		row->unpin.arg = descriptor;
		MemoryContextRegisterResetCallback(context, &row->unpin);
	}
	MemoryContextSwitchTo(old);
	return row;
}

/* A type cannot contain itself, so the row type that is replaced is not in use. */
const AuthzImageRow *
authz_imagetype_row(const AuthzImageType *type, TupleDesc descriptor)
{
	AuthzImageType *known = unconstify(AuthzImageType *, type);

	if (type->row == NULL || type->row->descriptor != descriptor)
	{
		AuthzImageRow *row = make_row_type(descriptor);

		if (type->row != NULL)
			MemoryContextDelete(type->row->context);
		known->row = row;
		MemoryContextSetParent(row->context, type->context);
	}
	return type->row;
}

/* After an error the path is restored by the end of the (sub)transaction. */
char *
authz_imagetype_text(const AuthzImageType *type, Datum value)
{
	OverrideSearchPath path = {.addCatalog = true};
	bool		quote_all = quote_all_identifiers;
	FmgrInfo   *output = unconstify(FmgrInfo *, &type->output);
	char	   *text = NULL;

	if (!type->by_names)
		return OutputFunctionCall(output, value);
	PushOverrideSearchPath(&path);
	quote_all_identifiers = false;
	PG_TRY();
	{
		text = OutputFunctionCall(output, value);
	}
	PG_FINALLY();
	{
		quote_all_identifiers = quote_all;
	}
	PG_END_TRY();
	PopOverrideSearchPath();
	return text;
}
