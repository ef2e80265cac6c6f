//! The users' contract.

mod v1;
mod v2;

use serde_json::{Value, json};

use crate::support::App;

/// An application with a hundred people, whose ids are 1 to 100.
fn with_people() -> App {
    let app = App::start();
    add_people(&app);
    app
}

/// Adds them, where nobody has been before.
fn add_people(app: &App) {
    app.seed(&["users"]);
}

/// A user as version 2 has them.
fn user(id: i64, username: &str, email: &str) -> Value {
    json!({"id": id, "username": username, "email": email})
}

/// How many users there are.
fn count(app: &App) -> String {
    app.value("SELECT count(*)::text FROM katas.person")
}
