"""The measured routes on FastAPI, SQLModel and psycopg.

Endpoints that use the database are plain functions, which FastAPI runs in its thread pool. Endpoints
that only compute are coroutines. Each request runs one statement, so connections use autocommit, which
saves two round trips for BEGIN and ROLLBACK. psycopg prepares a statement after five executions.

Sessions are closed within the endpoint. A session from a dependency with yield, as in the tutorial,
holds its connection while the response waits for a thread that validates it. With more requests than
threads, this is a deadlock: requests with a thread wait for a connection, and requests with a
connection wait for a thread, until the pool times out after 30 seconds.
"""

import os
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy import BigInteger, Column, delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Field, Session, SQLModel, create_engine, func, select

REQUIRED_SCHEMA = int(os.environ["REQUIRED_SCHEMA"])

engine = create_engine(
    os.environ["DATABASE_URL"],
    isolation_level="AUTOCOMMIT",
    max_overflow=0,
    pool_size=int(os.environ["POOL_SIZE"]),
)


def rows(statement: Any) -> Sequence[Any]:
    with Session(engine) as session:
        return session.exec(statement).all()


def first(statement: Any) -> Any | None:
    with Session(engine) as session:
        return session.exec(statement).first()


Skip = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=1000)]


class Entry(SQLModel, table=True):
    __table_args__ = {"schema": "katas"}

    id: int = Field(sa_column=Column(BigInteger, primary_key=True))
    word: str
    definition: str


class Person(SQLModel, table=True):
    __table_args__ = {"schema": "katas"}

    id: int = Field(sa_column=Column(BigInteger, primary_key=True))
    username: str
    email: str


class Migration(SQLModel, table=True):
    __tablename__ = "_sqlx_migrations"
    __table_args__ = {"schema": "katas"}

    version: int = Field(sa_column=Column(BigInteger, primary_key=True))
    success: bool


class EntryBody(SQLModel):
    word: str = Field(min_length=1, max_length=200)
    definition: str = Field(max_length=10_000)


class Deleted(SQLModel):
    word: str
    message: str


class User(SQLModel):
    user_id: int
    id: int
    username: str
    email: str


class Order(SQLModel):
    costs: dict[str, Decimal]
    items: list[str]
    tax: Decimal = Field(ge=0)


class Total(SQLModel):
    total: float


class Words(SQLModel):
    words: list[str] = Field(max_length=10_000)


class Word(SQLModel):
    word: str


app = FastAPI()


@app.exception_handler(HTTPException)
def problem(_: Request, error: HTTPException) -> JSONResponse:
    title = HTTPStatus(error.status_code).phrase
    body = {"type": "about:blank", "title": title, "status": error.status_code, "detail": error.detail}
    return JSONResponse(body, error.status_code, media_type="application/problem+json")


@app.exception_handler(OperationalError)
@app.exception_handler(PoolTimeout)
def unavailable(request: Request, _: Exception) -> JSONResponse:
    return problem(request, HTTPException(503, "the database does not respond"))


@app.get("/api/v1/look/{word:path}", response_model=EntryBody)
def look(word: str):
    found = first(select(Entry.word, Entry.definition).where(Entry.word == word))
    if found is None:
        raise HTTPException(404, f"Can't find entry for {word}")
    return found


@app.get("/api/v1/entries", response_model=list[EntryBody])
def entries(skip: Skip = 0, limit: Limit = 100):
    page = select(Entry.word, Entry.definition).order_by(Entry.id).offset(skip).limit(limit)
    return rows(page)


@app.post("/api/v1/newentry", status_code=201, response_model=EntryBody)
def add(entry: EntryBody):
    new = insert(Entry).values(word=entry.word, definition=entry.definition)
    new = new.on_conflict_do_nothing(constraint="entry_word_key").returning(Entry.id)
    if first(new) is None:
        raise HTTPException(400, f"Entry for '{entry.word}' already exists")
    return entry


@app.delete("/api/v1/entries/{word:path}", response_model=Deleted)
def remove(word: str):
    if first(delete(Entry).where(Entry.word == word).returning(Entry.id)) is None:
        raise HTTPException(404, f"Can't find entry for {word}")
    return Deleted(word=word, message=f"Entry for '{word}' deleted successfully")


@app.get("/api/v1/users/{user_id}", response_model=User)
def user(user_id: int):
    columns = select(Person.id.label("user_id"), Person.id, Person.username, Person.email)
    found = first(columns.where(Person.id == user_id))
    if found is None:
        raise HTTPException(404, "Unknown User ID")
    return found


@app.get("/api/v1/users", response_model=list[User])
def users(skip: Skip = 0, limit: Limit = 100):
    columns = select(Person.id.label("user_id"), Person.id, Person.username, Person.email)
    return rows(columns.order_by(Person.id).offset(skip).limit(limit))


@app.post("/api/v1/spending", response_model=Total)
async def spending(order: Order):
    subtotal = sum((order.costs[item] for item in order.items if item in order.costs), Decimal())
    total = (subtotal * (1 + order.tax)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return Total(total=float(total))


@app.post("/api/v1/nth-char", response_model=Word)
async def nth_char(body: Words):
    letters = []
    for n, word in enumerate(body.words):
        if n >= len(word):
            break
        letters.append(word[n])
    return Word(word="".join(letters))


@app.get("/health")
async def health():
    return {"status": "healthy"}


@app.get("/db-check")
def db_check():
    newest = select(func.coalesce(func.max(Migration.version), 0)).where(Migration.success)
    version = first(newest)
    if version < REQUIRED_SCHEMA:
        raise HTTPException(503, f"the schema is at version {version}")
    schema = {"version": version, "required": REQUIRED_SCHEMA}
    return {"status": "ready", "database": "connected", "schema": schema}
