# sqlalchemy_staff.py
#	  The masked view app.staff, mapped by SQLAlchemy as if it were the table.
import sqlalchemy
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Date, DateTime, Identity, Integer, Numeric, String, Text
from sqlalchemy import create_engine, event, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, UUID, insert
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy.orm.attributes import flag_modified

from conversation import converse, typed

Base = declarative_base()
engine = create_engine("postgresql+psycopg2://")


class Staff(Base):
    __tablename__ = "staff"
    id = Column(BigInteger, Identity(), primary_key=True)
    login = Column(String(20))
    name = Column(String(60))
    email = Column(Text)
    phone = Column(String(30))
    salary = Column(Numeric(12, 2))
    born = Column(Date)
    badge = Column(UUID(as_uuid=True))
    seen_at = Column(DateTime(timezone=True))
    profile = Column(JSONB(none_as_null=True))
    tags = Column(ARRAY(Text))
    vip = Column(Boolean)
    iban = Column(Text)
    gone = Column(Boolean)
    tenant = Column(BigInteger)
    version = Column(Integer, nullable=False)
    __mapper_args__ = {"version_id_col": version}


FIELDS = [column.key for column in Staff.__table__.columns]
kept = None  # what "load" read


def transaction(token):
    """A session whose transactions begin with a log-in; in "with", it commits at the end."""
    session = Session(engine, expire_on_commit=False)

    @event.listens_for(session, "after_begin")
    def log_in(session, begun, connection):
        if token is not None:
            connection.execute(text("SELECT authz.login(:token)"), {"token": token})

    return session


def fields(row):
    return {name: getattr(row, name) for name in FIELDS}


def condition(where):
    return [getattr(Staff, name) == value for name, value in typed(where).items()]


def versions(token):
    return "SQLAlchemy " + sqlalchemy.__version__


def describe(token):
    return [column["name"] for column in sqlalchemy.inspect(engine).get_columns("staff")]


def read(token, where={}):
    with transaction(token) as session:
        return [fields(row) for row in session.scalars(select(Staff).where(*condition(where)).order_by(Staff.id))]


def load(token, id):
    global kept
    with transaction(token) as session:
        kept = session.get(Staff, id)


def store(token, set):
    """Change what was loaded, and send all of it back."""
    with transaction(token) as session, session.begin():
        row = session.merge(kept, load=False)
        for name, value in typed(set).items():
            setattr(row, name, value)
        for name in FIELDS:
            if name not in ("id", "version"):
                flag_modified(row, name)


def create(token, values):
    with transaction(token) as session, session.begin():
        row = Staff(**typed(values))
        session.add(row)
        session.flush()
        session.refresh(row)
        return fields(row)


def bulk(token, rows):
    with transaction(token) as session, session.begin():
        new = [Staff(**typed(values)) for values in rows]
        session.add_all(new)
        session.flush()
        return [row.id for row in new]


def upsert(token, values):
    with transaction(token) as session, session.begin():
        row = insert(Staff).values(**typed(values))
        session.execute(row.on_conflict_do_update(index_elements=[Staff.id], set_={"name": row.excluded.name}))


def remove(token, id):
    with transaction(token) as session, session.begin():
        session.delete(session.get(Staff, id))


def change(token, where, set):
    with transaction(token) as session, session.begin():
        found = update(Staff).where(*condition(where)).values(**typed(set))
        return session.execute(found, execution_options={"synchronize_session": False}).rowcount


def raise_salary(token, id, by):
    with transaction(token) as session, session.begin():
        session.execute(update(Staff).where(Staff.id == id).values(salary=Staff.salary + by),
                        execution_options={"synchronize_session": False})


def order(token, by):
    with transaction(token) as session:
        return session.scalars(select(Staff.id).order_by(getattr(Staff, by).desc(), Staff.id)).all()


def group(token, by):
    column = getattr(Staff, by)
    with transaction(token) as session:
        return [list(row) for row in session.execute(select(column, func.count()).group_by(column).order_by(column))]


def lock(token, id):
    with transaction(token) as session, session.begin():
        return session.scalars(select(Staff).where(Staff.id == id).with_for_update()).one().email


converse(globals())
