# conversation.py
#	  What the Python programs here share: they are asked for one thing after the
#	  other, a JSON object on a line of standard input, and answer each with one.
#
# Asked is {"do": name, "token": ..., further arguments}; the answer is
# {"answer": ...} or {"error": SQLSTATE or class, "message": ...}.
import datetime
import decimal
import json
import sys
import uuid


def plain(value):
    """The value as JSON holds it: numeric, date, time and uuid as PostgreSQL writes them."""
    if isinstance(value, datetime.datetime):
        # Without a time zone it is none of PostgreSQL's timestamptz.
        return value.astimezone(datetime.timezone.utc).isoformat(" ")[:-3] if value.tzinfo else "naive %s" % value
    if isinstance(value, (datetime.date, decimal.Decimal, uuid.UUID)):
        return str(value)
    raise TypeError(type(value))


def typed(values):
    """The asked-for values of columns as a program holds them."""
    read = {
        "salary": decimal.Decimal,
        "born": datetime.date.fromisoformat,
        "badge": uuid.UUID,
        "seen_at": datetime.datetime.fromisoformat,
    }
    return {name: value if value is None else read.get(name, lambda v: v)(value) for name, value in values.items()}


def describe(error):
    """What the driver says, wherever in the chain of exceptions it is; else the class."""
    cause = error
    while cause is not None:
        if getattr(cause, "pgcode", None):
            return {"error": cause.pgcode, "message": cause.diag.message_primary}
        cause = cause.__cause__
    return {"error": type(error).__name__, "message": str(error)}


def converse(things):
    """Answer until there are no more questions."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"answer": things[asked.pop("do")](**asked)}
        except Exception as error:
            answer = describe(error)
        print(json.dumps(answer, default=plain), flush=True)
