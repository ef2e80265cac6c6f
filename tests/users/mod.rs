//! Tests of the `users` component.

mod v1;
mod v2;

use serde_json::{Value, json};

use crate::support::App;

/// Starts an application with 100 users, with ids 1 to 100.
fn with_users() -> App {
    let app = App::start();
    add_users(&app);
    app
}

/// Adds 100 users to an empty table.
fn add_users(app: &App) {
    app.seed(&["users"]);
}

/// Returns a user in the representation of version 2.
fn user(id: i64, username: &str, email: &str) -> Value {
    json!({"id": id, "username": username, "email": email})
}

/// Counts the users.
fn count(app: &App) -> String {
    app.value("SELECT count(*)::text FROM katas.person")
}
