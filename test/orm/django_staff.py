# django_staff.py
#	  The masked view app.staff, as a model of Django's that it does not manage.
import contextlib
import os

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"]}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    TIME_ZONE="UTC",
)
django.setup()

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models, transaction

from conversation import converse, typed


class Staff(models.Model):
    login = models.CharField(max_length=20)
    name = models.CharField(max_length=60)
    email = models.TextField(null=True)
    phone = models.CharField(max_length=30, null=True)
    salary = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    born = models.DateField(null=True)
    badge = models.UUIDField(null=True)
    seen_at = models.DateTimeField(null=True)
    profile = models.JSONField(null=True)
    tags = ArrayField(models.TextField(null=True), null=True)
    vip = models.BooleanField(null=True)
    iban = models.TextField(null=True)
    gone = models.BooleanField(default=False)
    tenant = models.BigIntegerField()
    version = models.IntegerField(default=1)

    class Meta:
        app_label = "staff"
        db_table = "staff"
        managed = False

    # Django has no optimistic locking of its own; this is the usual way to add it:
    # save() sends every field, to the row of the version that was read.
    def _do_update(self, base_qs, using, pk_val, values, update_fields, forced_update):
        was = self.version
        self.version = was + 1
        values = [(f, m, self.version if f.name == "version" else v) for f, m, v in values]
        if not super()._do_update(base_qs.filter(version=was), using, pk_val, values, update_fields, forced_update):
            raise StaleDataError("the row is not what it was, or must not be changed")
        return True


class StaleDataError(Exception):
    pass


kept = None  # what "load" read


@contextlib.contextmanager
def acting(token):
    """A transaction that begins with a log-in."""
    with transaction.atomic():
        if token is not None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT authz.login(%s)", [token])
        yield


def fields(row):
    return {field.attname: getattr(row, field.attname) for field in Staff._meta.fields}


def versions(token):
    return "Django " + django.get_version()


def describe(token):
    with connection.cursor() as cursor:
        return [column.name for column in connection.introspection.get_table_description(cursor, "staff")]


def read(token, where={}):
    with acting(token):
        return [fields(row) for row in Staff.objects.filter(**typed(where)).order_by("id")]


def load(token, id):
    global kept
    with acting(token):
        kept = Staff.objects.get(id=id)


def store(token, set):
    """Change what was loaded, and send all of it back."""
    with acting(token):
        for name, value in typed(set).items():
            setattr(kept, name, value)
        kept.save()


def create(token, values):
    with acting(token):
        row = Staff.objects.create(**typed(values))
        row.refresh_from_db()
        return fields(row)


def bulk(token, rows):
    with acting(token):
        return [row.id for row in Staff.objects.bulk_create([Staff(**typed(values)) for values in rows])]


def upsert(token, values):
    # This Django has no other; and what it has, names no key, so that PostgreSQL lets it pass.
    with acting(token):
        Staff.objects.bulk_create([Staff(**typed(values))], ignore_conflicts=True)


def remove(token, id):
    with acting(token):
        Staff.objects.get(id=id).delete()


def change(token, where, set):
    with acting(token):
        return Staff.objects.filter(**typed(where)).update(**typed(set))


def raise_salary(token, id, by):
    with acting(token):
        Staff.objects.filter(id=id).update(salary=models.F("salary") + by)


def order(token, by):
    with acting(token):
        return list(Staff.objects.order_by("-" + by, "id").values_list("id", flat=True))


def group(token, by):
    with acting(token):
        return [list(row) for row in Staff.objects.values_list(by).annotate(models.Count("id")).order_by(by)]


def lock(token, id):
    with acting(token):
        return Staff.objects.select_for_update().get(id=id).email


converse(globals())
