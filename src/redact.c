/*-------------------------------------------------------------------------
 * redact.c
 *	  Keeps tokens out of the server's log and of pg_stat_activity.
 *
 * A token that stands in a statement's text would get there in many ways: as
 * the STATEMENT of a later error in the same text, by log_statement,
 * log_min_duration_statement and auto_explain, in a syntax error that quotes
 * it, in the context of a function.  All of them pass emit_log_hook.  There
 * whatever has the form of a token is replaced, whoever logs it, and a
 * statement's text is left out as a whole if it may hold a token, also one that
 * is written in escapes or in parts.
 *
 * PostgreSQL 15 promises a hook only that it may turn the output off.  It logs
 * the fields as the hook leaves them; test/t/007_log.pl would notice if not.
 * Replacing is done in place, so it needs no memory in the midst of an error.
 * What goes to the log and to the client is one and the same text.
 *
 * What is logged before the library is loaded is out of reach.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/timestamp.h"

#include "redact.h"

#define HIDDEN			"<hidden>"
#define MIN_HEADER		16		/* base64url digits: no JOSE header is shorter */
#define MAX_BLANKS		64		/* digits looked at for the header's first characters */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static emit_log_hook_type prev_emit_log = NULL;

static TimestampTz set_at = DT_NOBEGIN;	/* start of the client's message that set a token last */

/* Value of a base64url digit, or -1. */
static int
digit_value(char c)
{
	const char *found = c == '\0' ? NULL : strchr(digits, c);

	return found == NULL ? -1 : found - digits;
}

/* Do n base64url digits begin a JSON object with a member? */
static bool
is_header(const char *text, size_t n)
{
	uint32		bits = 0;
	int			nbits = 0;
	bool		is_open = false;

	for (size_t i = 0; i < Min(n, MAX_BLANKS); i++)
	{
		unsigned char byte;

		bits = (bits << 6) | digit_value(text[i]);
		nbits += 6;
		if (nbits < 8)
			continue;
		nbits -= 8;
		byte = bits >> nbits;
		if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n')
			continue;
		if (is_open)
			return byte == '"';
		if (byte != '{')
			return false;
		is_open = true;
	}
	return false;
}

/*
 * The first token in a text, *length bytes long, or NULL.  Texts are cut here
 * and there, so a header and a dot are enough.
 */
static const char *
find_token(const char *text, size_t *length)
{
	while (*text != '\0')
	{
		size_t		n = strspn(text, digits);

		for (size_t i = 0; text[n] == '.' && i + MIN_HEADER <= n; i++)
		{
			if (!is_header(text + i, n - i))
				continue;
			while (text[n] == '.' || digit_value(text[n]) >= 0)
				n++;
			*length = n - i;
			return text + i;
		}
		text += Max(n, 1);
	}
	return NULL;
}

/* Replace every token of a text, in place: what replaces it is shorter. */
static bool
hide_tokens(char *text)
{
	bool		found = false;
	size_t		length;
	char	   *token;

	if (text == NULL)
		return false;
	while ((token = unconstify(char *, find_token(text, &length))) != NULL)
	{
		memcpy(token, HIDDEN, strlen(HIDDEN));
		text = token + strlen(HIDDEN);
		memmove(text, token + length, strlen(token + length) + 1);
		found = true;
	}
	return found;
}

/* Is there a string in a statement's text: '...' or $tag$...$tag$, not $1? */
static bool
has_literal(const char *text)
{
	const char *dollar = text;

	if (strchr(text, '\'') != NULL)
		return true;
	while ((dollar = strchr(dollar, '$')) != NULL)
	{
		dollar++;
		if (*dollar < '0' || *dollar > '9')
			return true;
	}
	return false;
}

/* Does a statement's text name what takes a token? */
static bool
names_token(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if ((*text == 'a' || *text == 'A') &&
			(pg_strncasecmp(text, "authz.token", 11) == 0 || pg_strncasecmp(text, "authz.login", 11) == 0))
			return true;
	}
	return false;
}

/* May the text of the client's statement hold a token, in whatever spelling? */
static bool
may_hold_token(const char *text)
{
	size_t		length;

	if (find_token(text, &length) != NULL)
		return true;
	return has_literal(text) && (names_token(text) || set_at == GetCurrentStatementStartTimestamp());
}

static void
emit_log(ErrorData *edata)
{
	/* debug_print_plan and the like show the bytes of constants, bound ones too. */
	if (edata->detail != NULL && debug_query_string != NULL && strstr(edata->detail, ":constvalue ") != NULL &&
		(names_token(debug_query_string) || may_hold_token(debug_query_string)))
		strcpy(edata->detail, HIDDEN);

	hide_tokens(edata->message);
	hide_tokens(edata->detail);
	hide_tokens(edata->detail_log);
	hide_tokens(edata->hint);
	hide_tokens(edata->context);
	hide_tokens(edata->internalquery);
	if (debug_query_string != NULL && !edata->hide_stmt && may_hold_token(debug_query_string))
		edata->hide_stmt = true;

	if (prev_emit_log)
		prev_emit_log(edata);
}

void
authz_redact_token_set(const char *token)
{
	uint64		query_id = pgstat_get_my_query_id();
	char	   *shown;

	set_at = GetCurrentStatementStartTimestamp();
	if (debug_query_string == NULL || !may_hold_token(debug_query_string))
		return;
	shown = pstrdup(debug_query_string);
	if (token == NULL || strstr(shown, token) == NULL || !hide_tokens(shown))
		strlcpy(shown, HIDDEN, strlen(shown) + 1);
	pgstat_report_activity(STATE_RUNNING, shown);
	/* Reporting forgets the query id, which records of what the client's statement does after this still need. */
	pgstat_report_query_id(query_id, true);
	pfree(shown);
}

void
authz_redact_init(void)
{
	prev_emit_log = emit_log_hook;
	emit_log_hook = emit_log;
}
