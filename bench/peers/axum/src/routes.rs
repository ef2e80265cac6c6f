//! The handlers of the routes.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use orders::{Order, PriceSource};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::State as Shared;
use crate::problem::Problem;

type Reply<T> = Result<T, Problem>;

#[derive(Deserialize, Serialize)]
pub struct Entry {
    word: String,
    definition: String,
}

impl From<Row> for Entry {
    fn from(row: Row) -> Entry {
        Entry { word: row.get(0), definition: row.get(1) }
    }
}

#[derive(Serialize)]
pub struct User {
    user_id: i64,
    id: i64,
    username: String,
    email: String,
}

impl From<Row> for User {
    fn from(row: Row) -> User {
        User { user_id: row.get(0), id: row.get(0), username: row.get(1), email: row.get(2) }
    }
}

#[derive(Deserialize)]
#[serde(default)]
pub struct Range {
    skip: i64,
    limit: i64,
}

impl Default for Range {
    fn default() -> Range {
        Range { skip: 0, limit: 100 }
    }
}

/// Runs a statement and returns its rows. Prepares it once per connection.
async fn query(state: &Shared, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Reply<Vec<Row>> {
    let client = state.pool.get().await?;
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, parameters).await?)
}

fn not_found(word: &str) -> Problem {
    Problem(StatusCode::NOT_FOUND, format!("Can't find entry for {word}"))
}

pub async fn look(State(state): State<Shared>, Path(word): Path<String>) -> Reply<Json<Entry>> {
    const SQL: &str = "SELECT word, definition FROM katas.entry WHERE word = $1";
    let found = query(&state, SQL, &[&word]).await?.pop();
    found.map(|row| Json(row.into())).ok_or_else(|| not_found(&word))
}

pub async fn entries(
    State(state): State<Shared>,
    Query(Range { skip, limit }): Query<Range>,
) -> Reply<Json<Vec<Entry>>> {
    const SQL: &str = "SELECT word, definition FROM katas.entry ORDER BY id OFFSET $1 LIMIT $2";
    let rows = query(&state, SQL, &[&skip, &limit]).await?;
    Ok(Json(rows.into_iter().map(Entry::from).collect()))
}

pub async fn add(
    State(state): State<Shared>,
    Json(entry): Json<Entry>,
) -> Reply<impl IntoResponse> {
    const SQL: &str = "INSERT INTO katas.entry (word, definition) VALUES ($1, $2) \
         ON CONFLICT ON CONSTRAINT entry_word_key DO NOTHING RETURNING 1";
    if query(&state, SQL, &[&entry.word, &entry.definition]).await?.is_empty() {
        let detail = format!("Entry for '{}' already exists", entry.word);
        return Err(Problem(StatusCode::BAD_REQUEST, detail));
    }
    Ok((StatusCode::CREATED, Json(entry)))
}

pub async fn remove(State(state): State<Shared>, Path(word): Path<String>) -> Reply<Json<Value>> {
    const SQL: &str = "DELETE FROM katas.entry WHERE word = $1 RETURNING 1";
    if query(&state, SQL, &[&word]).await?.is_empty() {
        return Err(not_found(&word));
    }
    let message = format!("Entry for '{word}' deleted successfully");
    Ok(Json(json!({ "word": word, "message": message })))
}

pub async fn user(State(state): State<Shared>, Path(id): Path<i64>) -> Reply<Json<User>> {
    const SQL: &str = "SELECT id, username, email FROM katas.person WHERE id = $1";
    let found = query(&state, SQL, &[&id]).await?.pop();
    let not_found = || Problem(StatusCode::NOT_FOUND, "Unknown User ID".to_owned());
    found.map(|row| Json(row.into())).ok_or_else(not_found)
}

pub async fn users(
    State(state): State<Shared>,
    Query(Range { skip, limit }): Query<Range>,
) -> Reply<Json<Vec<User>>> {
    const SQL: &str = "SELECT id, username, email FROM katas.person ORDER BY id OFFSET $1 LIMIT $2";
    let rows = query(&state, SQL, &[&skip, &limit]).await?;
    Ok(Json(rows.into_iter().map(User::from).collect()))
}

/// Uses the crate `orders` like the component, because the calculation is not compared.
pub async fn spending(body: Bytes) -> Reply<impl IntoResponse> {
    let invalid = || Problem(StatusCode::UNPROCESSABLE_ENTITY, "not an order".to_owned());
    let order: Order = json::from_slice(&body).map_err(|_| invalid())?;
    let PriceSource::Costs(prices) = &order.source else { return Err(invalid()) };
    let total = order.bill(prices).total(order.tax_rate).map_err(|_| invalid())?;
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    Ok((content_type, format!(r#"{{"total":{}}}"#, total.shortest())))
}

#[derive(Deserialize)]
pub struct Words {
    words: Vec<String>,
}

pub async fn nth_char(Json(Words { words }): Json<Words>) -> Json<Value> {
    Json(json!({ "word": rules::nth_char(words.iter().map(String::as_str)) }))
}

pub async fn health() -> Json<Value> {
    Json(json!({ "status": "healthy" }))
}

pub async fn db_check(State(state): State<Shared>) -> Reply<Json<Value>> {
    const SQL: &str = "SELECT coalesce(max(version), 0) FROM katas._sqlx_migrations WHERE success";
    let rows = query(&state, SQL, &[]).await?;
    let version: i64 = rows.first().map_or(0, |row| row.get(0));
    if version < state.required_schema {
        let detail = format!("the schema is at version {version}");
        return Err(Problem(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    let schema = json!({ "version": version, "required": state.required_schema });
    Ok(Json(json!({ "status": "ready", "database": "connected", "schema": schema })))
}
