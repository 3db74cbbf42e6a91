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
 * a column of type jsonb is copied as it is.  Recursion goes as deep as arrays,
 * composites and jsonb are nested, to DEPTH_LIMIT.
 *
 * A value that has no place is told by its length and SHA-256.  What has none:
 *
 * - What would make the text of a record too long: COPY makes a row one string,
 *   which must stay below 1 GB, or the log could not be dumped.  The worst that
 *   a byte of an image becomes is \\u0001, 7 characters, where JSON escapes the
 *   byte and COPY doubles the backslash; entries of a container are written in
 *   less than 7 characters for each of their bytes.  Only a number is longer
 *   than that, 1e131071 having ten bytes, so the characters of numbers are
 *   counted beside.  A record has four images.
 * - What is nested too deep to be read back from text by a stack of the default
 *   size.
 * - Text that is not valid in the database's encoding, which an output function
 *   may make.
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
#include "utils/pg_locale.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "digest.h"
#include "image.h"

/*
 * Characters that values of an image may become: 32 MB of the worst bytes.
 * Four images have 940 million then.  Beyond that come, for each of at most
 * 1,600 columns, its name and the room of a digest, which every column has for
 * itself: so a digest is always written whole, and no small value needs one.
 * That makes 8 million characters more; the rest of 1 GB is for what else is in
 * a record.
 */
#define CHARACTERS_PER_BYTE	7
#define IMAGE_LIMIT			(UINT64CONST(32) * 1024 * 1024 * CHARACTERS_PER_BYTE)
#define DIGEST_ROOM			(112 * CHARACTERS_PER_BYTE)	/* 109 bytes, and the digits of a length */
#define NO_LIMIT			PG_UINT64_MAX

/* Containers in each other. */
#define DEPTH_LIMIT			6500

static JEntry put_value(AuthzImage *image, const AuthzImageType *type, Datum value);

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
	if (strcmp(locale_monetary, "C") != 0)
		set_for_now("lc_monetary", "C");
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
	memset(image, 0, sizeof(*image));
	initStringInfo(&image->buffer);
}

/* Writing.  What has no place is not written and leaves `refused` behind. */

static uint64
used(const AuthzImage *image)
{
	return (uint64) image->buffer.len * CHARACTERS_PER_BYTE + image->digits;
}

static bool
may_fit(AuthzImage *image, Size length, Size digits)
{
	if (used(image) + (uint64) length * CHARACTERS_PER_BYTE + digits > image->limit)
		image->refused = true;
	return !image->refused;
}

/* Every byte is asked for here before it is written; `digits` are the characters of numbers among them. */
static bool
fits(AuthzImage *image, Size length, Size digits)
{
	if (!may_fit(image, length, digits))
		return false;
	image->digits += digits;
	return true;
}

static bool
enter_container(AuthzImage *image)
{
	check_stack_depth();
	if (++image->depth > DEPTH_LIMIT)
		image->refused = true;
	return !image->refused;
}

static JEntry
leave_container(AuthzImage *image)
{
	image->depth--;
	return JENTRY_ISCONTAINER;
}

/* Values in arrays and composites are many; what is made of one does not stay until the row is done. */
static void
free_copy(void *copy, Datum value)
{
	if (copy != DatumGetPointer(value))
		pfree(copy);
}

/* Bytes of a varlena when it is fetched and decompressed. */
static Size
raw_length(Datum value)
{
	return toast_raw_datum_size(value) - VARHDRSZ;
}

static JEntry
put_string(AuthzImage *image, const char *bytes, Size length)
{
	if (fits(image, length, 0))
		appendBinaryStringInfo(&image->buffer, bytes, length);
	return JENTRY_ISSTRING;
}

static JEntry
put_text(AuthzImage *image, Datum value)
{
	if (fits(image, raw_length(value), 0))
	{
		text	   *string = DatumGetTextPP(value);

		appendBinaryStringInfo(&image->buffer, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
		free_copy(string, value);
	}
	return JENTRY_ISSTRING;
}

/* As newer versions of PostgreSQL write it; this one writes the byte, which may be no character. */
static JEntry
put_char(AuthzImage *image, unsigned char byte)
{
	char		text[5];

	snprintf(text, sizeof(text), IS_HIGHBIT_SET(byte) ? "\\%03o" : "%c", byte);
	return put_string(image, text, strlen(text));
}

/* Containers and numbers begin at a multiple of four bytes. */
static void
align(AuthzImage *image)
{
	static const char zeroes[sizeof(int)] = {0};

	appendBinaryStringInfo(&image->buffer, zeroes, INTALIGN(image->buffer.len) - image->buffer.len);
}

/* Characters of a finite number; its format on disk is that of numeric.c. */
static Size
count_digits(Numeric number)
{
	uint16		header;
	int16		weight;
	int			scale;

	memcpy(&header, VARDATA_ANY(number), sizeof(header));
	if ((header & 0xC000) == 0x8000)
	{
		scale = (header & 0x1F80) >> 7;
		weight = (header & 0x0040) ? 0 : header & 0x003F;
	}
	else
	{
		scale = header & 0x3FFF;
		memcpy(&weight, (char *) VARDATA_ANY(number) + sizeof(header), sizeof(weight));
	}
	return 4 * (Max(weight, 0) + 1) + scale + 2;	/* with sign and point */
}

static JEntry
put_numeric(AuthzImage *image, Numeric number)
{
	if (numeric_is_nan(number) || numeric_is_inf(number))
	{
		char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));

		return put_string(image, text, strlen(text));
	}
	if (fits(image, sizeof(int) - 1 + VARSIZE_ANY(number), count_digits(number)))
	{
		align(image);
		appendBinaryStringInfo(&image->buffer, (char *) number, VARSIZE_ANY(number));
	}
	return JENTRY_ISNUMERIC;
}

static JEntry
put_new_numeric(AuthzImage *image, Numeric number)
{
	JEntry		entry = put_numeric(image, number);

	pfree(number);
	return entry;
}

/* A finite number as its shortest text that reads back the same. */
static JEntry
put_float(AuthzImage *image, char *text)
{
	if (strpbrk(text, "nN") != NULL)	/* NaN, Infinity */
		return put_string(image, text, strlen(text));
	return put_new_numeric(image, DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
																	  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
}

/* A container under construction: its header, then a JEntry for each part. */
typedef struct Container
{
	int			entries;		/* where the next JEntry goes */
	int			n;				/* parts so far */
	int			total;			/* their bytes */
} Container;

static bool
begin_container(AuthzImage *image, Container *container, uint32 header, int nentries)
{
	Size		size = sizeof(header) + nentries * sizeof(JEntry);

	memset(container, 0, sizeof(*container));
	if (!fits(image, sizeof(int) - 1 + size, 0))
		return false;
	align(image);
	enlargeStringInfo(&image->buffer, size);
	memset(image->buffer.data + image->buffer.len, 0, size);
	memcpy(image->buffer.data + image->buffer.len, &header, sizeof(header));
	container->entries = image->buffer.len + sizeof(header);
	image->buffer.len += size;
	return true;
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

static void
put_key(AuthzImage *image, Container *object, const char *name, int length)
{
	int			start = image->buffer.len;

	(void) put_string(image, name, length);
	end_part(image, object, JENTRY_ISSTRING, start);
}

/* There must be room. */
static JEntry
put_digest(AuthzImage *image, const char *bytes, Size length)
{
	Container	object;
	uint8		digest[AUTHZ_DIGEST_LENGTH];
	char		hex[2 * AUTHZ_DIGEST_LENGTH];
	int			start;

	authz_digest_of(bytes, length, digest);
	authz_digest_to_hex(digest, hex);
	(void) begin_container(image, &object, JB_FOBJECT | 2, 4);
	put_key(image, &object, "length", 6);
	put_key(image, &object, "sha256", 6);

	start = image->buffer.len;
	(void) put_new_numeric(image, int64_to_numeric(length));
	end_part(image, &object, JENTRY_ISNUMERIC, start);
	start = image->buffer.len;
	(void) put_string(image, hex, sizeof(hex));
	end_part(image, &object, JENTRY_ISSTRING, start);
	return JENTRY_ISCONTAINER;
}

/* The same; takes less than a digest. */
static JEntry
put_hidden(AuthzImage *image)
{
	Container	object;

	(void) begin_container(image, &object, JB_FOBJECT | 1, 2);
	put_key(image, &object, "masked", 6);
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
	Size		length = raw_length(value);

	if (fits(image, 2 * length + 2, 0))
	{
		bytea	   *bytes = DatumGetByteaPP(value);

		enlargeStringInfo(&image->buffer, 2 * length + 2);
		appendStringInfoString(&image->buffer, "\\x");
		image->buffer.len += hex_encode(VARDATA_ANY(bytes), length, image->buffer.data + image->buffer.len);
		free_copy(bytes, value);
	}
	return JENTRY_ISSTRING;
}

/* The characters of all numbers in it; refuses what is nested too deep.  A JsonbIterator costs 1 us more for a small document. */
static Size
look_into_jsonb(AuthzImage *image, const JsonbContainer *container)
{
	int			n = JsonContainerIsObject(container) ? 2 * JsonContainerSize(container) : JsonContainerSize(container);
	const char *parts = (const char *) &container->children[n];
	uint32		start = 0;
	Size		digits = 0;

	if (!enter_container(image))
		n = 0;
	for (int i = 0; i < n && !image->refused; i++)
	{
		JEntry		entry = container->children[i];
		const char *part = parts + INTALIGN(start);

		if (JBE_ISNUMERIC(entry))
			digits += count_digits((Numeric) unconstify(char *, part));
		else if (JBE_ISCONTAINER(entry))
			digits += look_into_jsonb(image, (const JsonbContainer *) part);
		start = JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) : start + JBE_OFFLENFLD(entry);
	}
	(void) leave_container(image);
	return digits;
}

/* A container is copied; a lone scalar is the only element of an array, and comes out of it. */
static JEntry
copy_jsonb(AuthzImage *image, Jsonb *jsonb)
{
	JEntry		entry;
	const char *data;

	if (!JB_ROOT_IS_SCALAR(jsonb))
	{
		if (fits(image, sizeof(int) - 1 + VARSIZE(jsonb) - VARHDRSZ, look_into_jsonb(image, &jsonb->root)))
		{
			align(image);
			appendBinaryStringInfo(&image->buffer, VARDATA(jsonb), VARSIZE(jsonb) - VARHDRSZ);
		}
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

static JEntry
put_jsonb(AuthzImage *image, Datum value)
{
	Jsonb	   *jsonb;
	JEntry		entry;

	if (!may_fit(image, raw_length(value) - sizeof(uint32), 0))
		return JENTRY_ISCONTAINER;
	jsonb = DatumGetJsonbP(value);
	entry = copy_jsonb(image, jsonb);
	free_copy(jsonb, value);
	return entry;
}

/* One dimension of an array, from element *next on. */
static JEntry
put_dimension(AuthzImage *image, const AuthzImageType *element, int dimension, int ndimensions, const int *sizes,
			  const Datum *values, const bool *nulls, int *next)
{
	Container	array;

	if (!enter_container(image) ||
		!begin_container(image, &array, JB_FARRAY | sizes[dimension], sizes[dimension]))
		return leave_container(image);
	for (int i = 0; i < sizes[dimension] && !image->refused; i++)
	{
		int			start = image->buffer.len;
		JEntry		entry;

		CHECK_FOR_INTERRUPTS();
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
	return leave_container(image);
}

static JEntry
put_array(AuthzImage *image, const AuthzImageType *type, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	const int	none = 0;
	Datum	   *elements;
	bool	   *nulls;
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	int			next = 0;

	if (ARR_NDIM(array) == 0)
		(void) put_dimension(image, type->element, 0, 1, &none, NULL, NULL, &next);
	else if (may_fit(image, n * sizeof(JEntry), 0))	/* else no memory is taken for the elements */
	{
		deconstruct_array(array, ARR_ELEMTYPE(array), type->element_length, type->element_byval, type->element_align,
						  &elements, &nulls, &n);
		(void) put_dimension(image, type->element, 0, ARR_NDIM(array), ARR_DIMS(array), elements, nulls, &next);
		pfree(elements);
		pfree(nulls);
	}
	free_copy(array, value);
	return JENTRY_ISCONTAINER;
}

/* An object with names; its values are to follow. */
static bool
begin_object(AuthzImage *image, Container *object, const AuthzImageColumn *const *columns, int n)
{
	if (!begin_container(image, object, JB_FOBJECT | n, 2 * n))
		return false;
	for (int i = 0; i < n && !image->refused; i++)
		put_key(image, object, columns[i]->name, columns[i]->name_length);
	return !image->refused;
}

static JEntry
put_composite(AuthzImage *image, const AuthzImageType *type, Datum value)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	TupleDesc	descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {0};
	const AuthzImageRow *row = authz_imagetype_row(type, descriptor);
	Container	object;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	heap_deform_tuple(&tuple, descriptor, row->values, row->isnull);
	if (enter_container(image) && begin_object(image, &object, row->columns, row->n))
	{
		for (int i = 0; i < row->n && !image->refused; i++)
		{
			const AuthzImageColumn *column = row->columns[i];
			int			start = image->buffer.len;
			JEntry		entry = JENTRY_ISNULL;

			if (!row->isnull[column->index])
				entry = put_value(image, column->type, row->values[column->index]);
			end_part(image, &object, entry, start);
		}
	}
	ReleaseTupleDesc(descriptor);
	free_copy(header, value);
	return leave_container(image);
}

static JEntry
put_output(AuthzImage *image, const AuthzImageType *type, Datum value)
{
	char	   *text = authz_imagetype_text(type, value);
	Size		length = strlen(text);

	if (!pg_verify_mbstr(GetDatabaseEncoding(), text, length, true))
		image->refused = true;
	(void) put_string(image, text, length);
	pfree(text);
	return JENTRY_ISSTRING;
}

static JEntry
put_value(AuthzImage *image, const AuthzImageType *type, Datum value)
{
	char		digits[Max(DOUBLE_SHORTEST_DECIMAL_LEN, FLOAT_SHORTEST_DECIMAL_LEN)];

	switch (type->kind)
	{
		case AUTHZ_IMAGE_BOOL:
			return DatumGetBool(value) ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
		case AUTHZ_IMAGE_INT2:
			return put_new_numeric(image, int64_to_numeric(DatumGetInt16(value)));
		case AUTHZ_IMAGE_INT4:
			return put_new_numeric(image, int64_to_numeric(DatumGetInt32(value)));
		case AUTHZ_IMAGE_INT8:
			return put_new_numeric(image, int64_to_numeric(DatumGetInt64(value)));
		case AUTHZ_IMAGE_OID:
			return put_new_numeric(image, int64_to_numeric(DatumGetObjectId(value)));
		case AUTHZ_IMAGE_NUMERIC:
			return put_numeric(image, DatumGetNumeric(value));
		case AUTHZ_IMAGE_FLOAT4:
			(void) float_to_shortest_decimal_buf(DatumGetFloat4(value), digits);
			return put_float(image, digits);
		case AUTHZ_IMAGE_FLOAT8:
			(void) double_to_shortest_decimal_buf(DatumGetFloat8(value), digits);
			return put_float(image, digits);
		case AUTHZ_IMAGE_TEXT:
			return put_text(image, value);
		case AUTHZ_IMAGE_NAME:
			return put_string(image, NameStr(*DatumGetName(value)), strlen(NameStr(*DatumGetName(value))));
		case AUTHZ_IMAGE_CHAR:
			return put_char(image, DatumGetChar(value));
		case AUTHZ_IMAGE_DATETIME:
			return put_datetime(image, type->base, value);
		case AUTHZ_IMAGE_BYTEA:
			return put_bytea(image, value);
		case AUTHZ_IMAGE_JSONB:
			return put_jsonb(image, value);
		case AUTHZ_IMAGE_ARRAY:
			return put_array(image, type, value);
		case AUTHZ_IMAGE_COMPOSITE:
			return put_composite(image, type, value);
		case AUTHZ_IMAGE_OUTPUT:
			return put_output(image, type, value);
	}
	pg_unreachable();
}

/* Of a value that has no place. */
static JEntry
put_digest_of(AuthzImage *image, const AuthzImageType *type, Datum value)
{
	switch (type->kind)
	{
		case AUTHZ_IMAGE_TEXT:
		case AUTHZ_IMAGE_BYTEA:
		case AUTHZ_IMAGE_JSONB:
		case AUTHZ_IMAGE_ARRAY:
		case AUTHZ_IMAGE_COMPOSITE:
			{
				struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

				return put_digest(image, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			}
		default:
			{
				char	   *text = authz_imagetype_text(type, value);

				return put_digest(image, text, strlen(text));
			}
	}
}

static JEntry
put_column(AuthzImage *image, const AuthzImageColumn *column, Datum value, bool isnull)
{
	int			start = image->buffer.len;
	uint64		digits = image->digits;
	JEntry		entry;

	if (column->hidden)
		return put_hidden(image);
	if (isnull)
		return JENTRY_ISNULL;
	entry = put_value(image, column->type, value);
	if (!image->refused)
		return entry;
	image->refused = false;
	image->buffer.len = start;
	image->digits = digits;
	image->limit = NO_LIMIT;
	return put_digest_of(image, column->type, value);
}

static void
put_row(AuthzImage *image, const AuthzImageColumn *const *columns, int n, const Datum *values, const bool *isnull)
{
	Container	object;

	image->limit = NO_LIMIT;
	(void) begin_object(image, &object, columns, n);
	for (int i = 0; i < n; i++)
	{
		int			start = image->buffer.len;
		JEntry		entry;

		/* Each column has the room of a digest. */
		image->limit = Max(IMAGE_LIMIT, used(image) + DIGEST_ROOM);
		entry = put_column(image, columns[i], values[columns[i]->index], isnull[columns[i]->index]);
		end_part(image, &object, entry, start);
	}
}

Datum
authz_image_build(AuthzImage *image, const AuthzImageColumn *const *columns, int n,
				  const Datum *values, const bool *isnull, MemoryContext result_context)
{
	Jsonb	   *result;

	resetStringInfo(&image->buffer);
	image->digits = 0;
	image->refused = false;
	image->depth = 1;			/* the row */
	appendStringInfoSpaces(&image->buffer, VARHDRSZ);	/* alignment counts from here */
	put_row(image, columns, n, values, isnull);
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
