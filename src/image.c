/*-------------------------------------------------------------------------
 * image.c
 *	  Values of a row as a jsonb object: what the audit log keeps of it.
 *
 * to_jsonb() will not do.  It calls casts to json that anybody may have made
 * for his type, it raises for values that have no place in a jsonb (a string
 * of 256 MB, json text with \u0000), and what it writes depends on the
 * session's TimeZone, DateStyle and so on.  Here nothing of a value may stop
 * the statement that wrote it, and the same value is always written the same,
 * or a key would not be found again.
 *
 * The binary form is written directly (its description is in utils/jsonb.h):
 * a column of type jsonb is copied as it is, however deep it is nested, and
 * nothing recurses but for arrays and composites of SQL.
 *
 * An image is kept far below what an offset in a jsonb can say; what does not
 * fit is told by its length and SHA-256.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "digest.h"
#include "image.h"

/* Bytes of an image; offsets in a jsonb have 28 bits. */
#define IMAGE_LIMIT		(128 * 1024 * 1024)

/* How a value is written. */
typedef enum ImageKind
{
	IMAGE_OUTPUT = 0,			/* a string: what the type's output function says */
	IMAGE_BOOL,
	IMAGE_INT2,
	IMAGE_INT4,
	IMAGE_INT8,
	IMAGE_OID,
	IMAGE_NUMERIC,
	IMAGE_FLOAT4,
	IMAGE_FLOAT8,
	IMAGE_TEXT,					/* the bytes are the string; json too, which is kept to the letter */
	IMAGE_NAME,
	IMAGE_DATETIME,				/* ISO 8601, UTC */
	IMAGE_BYTEA,				/* hexadecimal */
	IMAGE_JSONB,
	IMAGE_ARRAY,
	IMAGE_COMPOSITE
} ImageKind;

struct AuthzImageType
{
	ImageKind	kind;
	Oid			base;			/* below domains */
	FmgrInfo	output;
	AuthzImageType *element;	/* of an array */
	int16		element_length;
	bool		element_byval;
	char		element_align;
};

static JEntry put_value(AuthzImage *image, const AuthzImageType *type, Datum value);

static ImageKind
kind_of(Oid base)
{
	switch (base)
	{
		case BOOLOID:
			return IMAGE_BOOL;
		case INT2OID:
			return IMAGE_INT2;
		case INT4OID:
			return IMAGE_INT4;
		case INT8OID:
			return IMAGE_INT8;
		case OIDOID:
			return IMAGE_OID;
		case NUMERICOID:
			return IMAGE_NUMERIC;
		case FLOAT4OID:
			return IMAGE_FLOAT4;
		case FLOAT8OID:
			return IMAGE_FLOAT8;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case JSONOID:
			return IMAGE_TEXT;
		case NAMEOID:
			return IMAGE_NAME;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return IMAGE_DATETIME;
		case BYTEAOID:
			return IMAGE_BYTEA;
		case JSONBOID:
			return IMAGE_JSONB;
		default:
			return IMAGE_OUTPUT;
	}
}

static AuthzImageType *
make_type(Oid typid)
{
	AuthzImageType *type = palloc0(sizeof(AuthzImageType));
	Oid			output;
	Oid			element;
	bool		is_varlena;

	type->base = getBaseType(typid);
	type->kind = kind_of(type->base);
	getTypeOutputInfo(type->base, &output, &is_varlena);
	fmgr_info_cxt(output, &type->output, CurrentMemoryContext);
	element = get_base_element_type(type->base);
	if (OidIsValid(element))
	{
		type->kind = IMAGE_ARRAY;
		type->element = make_type(element);
		get_typlenbyvalalign(element, &type->element_length, &type->element_byval, &type->element_align);
	}
	else if (type_is_rowtype(type->base))
		type->kind = IMAGE_COMPOSITE;
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
authz_image_columns(TupleDesc descriptor, int *n)
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
authz_image_needs_settings(const AuthzImageColumn *columns, int n)
{
	for (int i = 0; i < n; i++)
	{
		const AuthzImageType *type = columns[i].type;

		while (type->kind == IMAGE_ARRAY)
			type = type->element;
		if (type->kind == IMAGE_COMPOSITE || (type->kind == IMAGE_OUTPUT && type->base != UUIDOID))
			return true;
	}
	return false;
}

static void
set_for_now(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

int
authz_image_enter_settings(void)
{
	int			level = NewGUCNestLevel();

	if (DateStyle != USE_ISO_DATES)
		set_for_now("datestyle", "ISO");
	if (IntervalStyle != INTSTYLE_ISO_8601)
		set_for_now("intervalstyle", "iso_8601");
	if (extra_float_digits < 1)
		set_for_now("extra_float_digits", "1");
	if (bytea_output != BYTEA_OUTPUT_HEX)
		set_for_now("bytea_output", "hex");
	if (strcmp(pg_get_timezone_name(session_timezone), "UTC") != 0)
		set_for_now("timezone", "UTC");
	return level;
}

void
authz_image_leave_settings(int level)
{
	AtEOXact_GUC(true, level);
}

void
authz_image_init(AuthzImage *image)
{
	initStringInfo(&image->buffer);
	image->overflow = false;
}

/* Writing.  What is not written for want of place leaves `overflow` behind. */

static bool
fits(AuthzImage *image, Size length)
{
	if (length > IMAGE_LIMIT || image->buffer.len + length > IMAGE_LIMIT)
		image->overflow = true;
	return !image->overflow;
}

static JEntry
put_string(AuthzImage *image, const char *bytes, Size length)
{
	if (fits(image, length))
		appendBinaryStringInfo(&image->buffer, bytes, length);
	return JENTRY_ISSTRING;
}

/* Containers and numbers begin at a multiple of four bytes. */
static void
align(AuthzImage *image)
{
	static const char zeroes[sizeof(int)] = {0};

	appendBinaryStringInfo(&image->buffer, zeroes, INTALIGN(image->buffer.len) - image->buffer.len);
}

static JEntry
put_numeric(AuthzImage *image, Numeric number)
{
	if (numeric_is_nan(number) || numeric_is_inf(number))
	{
		char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));

		return put_string(image, text, strlen(text));
	}
	align(image);
	if (fits(image, VARSIZE_ANY(number)))
		appendBinaryStringInfo(&image->buffer, (char *) number, VARSIZE_ANY(number));
	return JENTRY_ISNUMERIC;
}

/* A finite number as its shortest text that reads back the same. */
static JEntry
put_float(AuthzImage *image, char *text)
{
	if (strpbrk(text, "nN") != NULL)	/* NaN, Infinity */
		return put_string(image, text, strlen(text));
	return put_numeric(image, DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
																  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
}

/* A container under construction: its header, then a JEntry for each part. */
typedef struct Container
{
	int			entries;		/* where the next JEntry goes */
	int			n;				/* parts so far */
	int			total;			/* their bytes */
} Container;

static Container
begin_container(AuthzImage *image, uint32 header, int nentries)
{
	Container	container = {0};

	align(image);
	appendBinaryStringInfo(&image->buffer, (char *) &header, sizeof(header));
	container.entries = image->buffer.len;
	enlargeStringInfo(&image->buffer, nentries * sizeof(JEntry));
	memset(image->buffer.data + image->buffer.len, 0, nentries * sizeof(JEntry));
	image->buffer.len += nentries * sizeof(JEntry);
	return container;
}

/* Note a part that begins at `start` and ends here. */
static void
end_part(AuthzImage *image, Container *container, JEntry type, int start)
{
	int			length = image->buffer.len - start;
	JEntry		entry;

	container->total += length;
	if (container->n % JB_OFFSET_STRIDE == 0)
		entry = type | JENTRY_HAS_OFF | container->total;
	else
		entry = type | length;
	memcpy(image->buffer.data + container->entries, &entry, sizeof(entry));
	container->entries += sizeof(entry);
	container->n++;
}

static JEntry
put_digest(AuthzImage *image, const char *bytes, Size length)
{
	Container	object = begin_container(image, JB_FOBJECT | 2, 4);
	uint8		digest[AUTHZ_DIGEST_LENGTH];
	char		hex[2 * AUTHZ_DIGEST_LENGTH];
	int			start;

	authz_digest_of(bytes, length, digest);
	authz_digest_to_hex(digest, hex);
	start = image->buffer.len;
	appendStringInfoString(&image->buffer, "length");
	end_part(image, &object, JENTRY_ISSTRING, start);
	start = image->buffer.len;
	appendStringInfoString(&image->buffer, "sha256");
	end_part(image, &object, JENTRY_ISSTRING, start);

	start = image->buffer.len;
	(void) put_numeric(image, int64_to_numeric(length));
	end_part(image, &object, JENTRY_ISNUMERIC, start);
	start = image->buffer.len;
	appendBinaryStringInfo(&image->buffer, hex, sizeof(hex));
	end_part(image, &object, JENTRY_ISSTRING, start);
	return JENTRY_ISCONTAINER;
}

static JEntry
put_hidden(AuthzImage *image)
{
	Container	object = begin_container(image, JB_FOBJECT | 1, 2);
	int			start = image->buffer.len;

	appendStringInfoString(&image->buffer, "masked");
	end_part(image, &object, JENTRY_ISSTRING, start);
	end_part(image, &object, JENTRY_ISBOOL_TRUE, image->buffer.len);
	return JENTRY_ISCONTAINER;
}

static JEntry
put_datetime(AuthzImage *image, Oid type, Datum value)
{
	char		text[MAXDATELEN + 1];
	const int	utc = 0;

	JsonEncodeDateTime(text, value, type, &utc);
	return put_string(image, text, strlen(text));
}

static JEntry
put_bytea(AuthzImage *image, Datum value)
{
	bytea	   *bytes = DatumGetByteaPP(value);
	Size		length = VARSIZE_ANY_EXHDR(bytes);

	if (fits(image, 2 * length + 2))
	{
		enlargeStringInfo(&image->buffer, 2 * length + 2);
		appendStringInfoString(&image->buffer, "\\x");
		image->buffer.len += hex_encode(VARDATA_ANY(bytes), length, image->buffer.data + image->buffer.len);
	}
	return JENTRY_ISSTRING;
}

/* A container is copied; a lone scalar is the only element of an array, and comes out of it. */
static JEntry
put_jsonb(AuthzImage *image, Datum value)
{
	Jsonb	   *jsonb = DatumGetJsonbP(value);
	JEntry		entry;
	const char *data;

	if (!JB_ROOT_IS_SCALAR(jsonb))
	{
		align(image);
		if (fits(image, VARSIZE(jsonb) - VARHDRSZ))
			appendBinaryStringInfo(&image->buffer, VARDATA(jsonb), VARSIZE(jsonb) - VARHDRSZ);
		return JENTRY_ISCONTAINER;
	}
	entry = jsonb->root.children[0];
	data = (const char *) &jsonb->root.children[1];
	if (JBE_ISNUMERIC(entry))
		return put_numeric(image, (Numeric) unconstify(char *, data));
	if (JBE_ISSTRING(entry))
		return put_string(image, data, JBE_OFFLENFLD(entry));
	return entry & JENTRY_TYPEMASK;
}

/* One dimension of an array, from element *next on. */
static JEntry
put_dimension(AuthzImage *image, const AuthzImageType *element, int dimension, int ndimensions, const int *sizes,
			  const Datum *values, const bool *nulls, int *next)
{
	Container	array;

	check_stack_depth();
	if (!fits(image, (Size) sizes[dimension] * sizeof(JEntry)))
		return JENTRY_ISCONTAINER;
	array = begin_container(image, JB_FARRAY | sizes[dimension], sizes[dimension]);
	for (int i = 0; i < sizes[dimension] && !image->overflow; i++)
	{
		int			start = image->buffer.len;
		JEntry		entry;

		if (dimension + 1 < ndimensions)
			entry = put_dimension(image, element, dimension + 1, ndimensions, sizes, values, nulls, next);
		else if (nulls[*next])
		{
			entry = JENTRY_ISNULL;
			(*next)++;
		}
		else
			entry = put_value(image, element, values[(*next)++]);
		end_part(image, &array, entry, start);
	}
	return JENTRY_ISCONTAINER;
}

static JEntry
put_array(AuthzImage *image, const AuthzImageType *type, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			next = 0;

	if (ARR_NDIM(array) == 0)
	{
		(void) begin_container(image, JB_FARRAY, 0);
		return JENTRY_ISCONTAINER;
	}
	deconstruct_array(array, ARR_ELEMTYPE(array), type->element_length, type->element_byval, type->element_align,
					  &elements, &nulls, &n);
	return put_dimension(image, type->element, 0, ARR_NDIM(array), ARR_DIMS(array), elements, nulls, &next);
}

/* Names, then values, as an object. */
static JEntry
put_object(AuthzImage *image, const AuthzImageColumn *const *columns, int n, const Datum *values, const bool *isnull,
		   bool digest_what_does_not_fit)
{
	Container	object = begin_container(image, JB_FOBJECT | n, 2 * n);

	for (int i = 0; i < n; i++)
	{
		int			start = image->buffer.len;

		appendBinaryStringInfo(&image->buffer, columns[i]->name, columns[i]->name_length);
		end_part(image, &object, JENTRY_ISSTRING, start);
	}
	for (int i = 0; i < n && !image->overflow; i++)
	{
		const AuthzImageColumn *column = columns[i];
		Datum		value = values[column->index];
		int			start = image->buffer.len;
		JEntry		entry = JENTRY_ISNULL;

		if (column->hidden)
			entry = put_hidden(image);
		else if (!isnull[column->index])
			entry = put_value(image, column->type, value);
		if (image->overflow && digest_what_does_not_fit)
		{
			image->overflow = false;
			image->buffer.len = start;
			if (column->type->kind == IMAGE_TEXT || column->type->kind == IMAGE_BYTEA)
			{
				struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

				entry = put_digest(image, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			}
			else
			{
				char	   *text = OutputFunctionCall(unconstify(FmgrInfo *, &column->type->output), value);

				entry = put_digest(image, text, strlen(text));
			}
		}
		end_part(image, &object, entry, start);
	}
	return JENTRY_ISCONTAINER;
}

static JEntry
put_composite(AuthzImage *image, Datum value)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	TupleDesc	descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {0};
	AuthzImageColumn *columns;
	const AuthzImageColumn **pointers;
	Datum	   *values = palloc_array(Datum, Max(descriptor->natts, 1));
	bool	   *isnull = palloc_array(bool, Max(descriptor->natts, 1));
	int			n;

	check_stack_depth();
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	heap_deform_tuple(&tuple, descriptor, values, isnull);
	columns = authz_image_columns(descriptor, &n);
	ReleaseTupleDesc(descriptor);
	pointers = palloc_array(const AuthzImageColumn *, Max(n, 1));
	for (int i = 0; i < n; i++)
		pointers[i] = &columns[i];
	return put_object(image, pointers, n, values, isnull, false);
}

static JEntry
put_value(AuthzImage *image, const AuthzImageType *type, Datum value)
{
	char		digits[Max(DOUBLE_SHORTEST_DECIMAL_LEN, FLOAT_SHORTEST_DECIMAL_LEN)];
	char	   *output;

	switch (type->kind)
	{
		case IMAGE_BOOL:
			return DatumGetBool(value) ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
		case IMAGE_INT2:
			return put_numeric(image, int64_to_numeric(DatumGetInt16(value)));
		case IMAGE_INT4:
			return put_numeric(image, int64_to_numeric(DatumGetInt32(value)));
		case IMAGE_INT8:
			return put_numeric(image, int64_to_numeric(DatumGetInt64(value)));
		case IMAGE_OID:
			return put_numeric(image, int64_to_numeric(DatumGetObjectId(value)));
		case IMAGE_NUMERIC:
			return put_numeric(image, DatumGetNumeric(value));
		case IMAGE_FLOAT4:
			(void) float_to_shortest_decimal_buf(DatumGetFloat4(value), digits);
			return put_float(image, digits);
		case IMAGE_FLOAT8:
			(void) double_to_shortest_decimal_buf(DatumGetFloat8(value), digits);
			return put_float(image, digits);
		case IMAGE_TEXT:
			{
				text	   *string = DatumGetTextPP(value);

				return put_string(image, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
			}
		case IMAGE_NAME:
			return put_string(image, NameStr(*DatumGetName(value)), strlen(NameStr(*DatumGetName(value))));
		case IMAGE_DATETIME:
			return put_datetime(image, type->base, value);
		case IMAGE_BYTEA:
			return put_bytea(image, value);
		case IMAGE_JSONB:
			return put_jsonb(image, value);
		case IMAGE_ARRAY:
			return put_array(image, type, value);
		case IMAGE_COMPOSITE:
			return put_composite(image, value);
		case IMAGE_OUTPUT:
			output = OutputFunctionCall(unconstify(FmgrInfo *, &type->output), value);
			return put_string(image, output, strlen(output));
	}
	pg_unreachable();
}

Datum
authz_image_build(AuthzImage *image, const AuthzImageColumn *const *columns, int n,
				  const Datum *values, const bool *isnull, MemoryContext result_context)
{
	Jsonb	   *result;

	resetStringInfo(&image->buffer);
	image->overflow = false;
	appendStringInfoSpaces(&image->buffer, VARHDRSZ);	/* alignment counts from here */
	(void) put_object(image, columns, n, values, isnull, true);
	result = MemoryContextAlloc(result_context, image->buffer.len);
	memcpy(result, image->buffer.data, image->buffer.len);
	SET_VARSIZE(result, image->buffer.len);

	/* Do not sit on the memory of one huge image. */
	if (image->buffer.maxlen > 1024 * 1024)
	{
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(image->buffer.data));

		pfree(image->buffer.data);
		initStringInfo(&image->buffer);
		MemoryContextSwitchTo(old);
	}
	return JsonbPGetDatum(result);
}

bool
authz_image_equal(const AuthzImageColumn *column, Datum a, bool a_isnull, Datum b, bool b_isnull)
{
	if (a_isnull || b_isnull)
		return a_isnull == b_isnull;

	/* An untouched value that is stored out of line is told by its pointer, without fetching it. */
	if (column->length == -1 && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(a)) && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(b)) &&
		memcmp(DatumGetPointer(a), DatumGetPointer(b), VARSIZE_EXTERNAL(DatumGetPointer(a))) == 0)
		return true;
	return datum_image_eq(a, b, column->byval, column->length);
}
