//! The playground and Swagger UI in a browser.

use serde_json::{Value, json};

use super::browser::Browser;
use super::schema::Document;
use crate::support::App;

/// Sends the selected operation of a service. Returns the outcome that the page shows.
#[track_caller]
fn send(browser: &mut Browser, service: &str) -> String {
    let outcome = format!("document.querySelector('#{service} .outcome').textContent");
    browser.evaluate(&format!("document.querySelector('#{service} .send').click()"));
    browser.wait_until(&format!("!document.querySelector('#{service} .send').disabled"));
    browser.evaluate(&outcome).as_str().expect("a string").to_owned()
}

fn select(browser: &mut Browser, service: &str, operation: &str) {
    browser.evaluate(&format!(
        "document.querySelector('#{service} input[value={operation}]').click()"
    ));
}

fn fill(browser: &mut Browser, id: &str, text: &str) {
    browser.evaluate(&format!(
        "{{ const control = document.getElementById('{id}'); control.value = {text:?}; \
            control.dispatchEvent(new Event('input', {{ bubbles: true }})); }}"
    ));
}

fn text(browser: &mut Browser, selector: &str) -> String {
    let text = browser.evaluate(&format!("document.querySelector('{selector}').textContent"));
    text.as_str().expect("a string").to_owned()
}

#[test]
#[cfg_attr(not(has_chromium), ignore = "Chromium is not installed")]
fn probes_are_requested_on_load_and_on_demand_only() {
    let mut browser = Browser::start();
    let app = App::start();
    browser.navigate(&format!("{}/", app.base()));
    browser.wait_until(
        "document.querySelectorAll('#probes [data-outcome=good]').length === 3 \
         && !document.getElementById('check').disabled",
    );
    assert!(text(&mut browser, "#probes li:last-child").starts_with("/db-check 200 in "));
    app.sql("UPDATE katas._sqlx_migrations SET success = false");
    browser.evaluate("document.getElementById('check').click()");
    browser
        .wait_until("document.querySelector('#probes li:last-child').dataset.outcome === 'failed'");
    assert!(text(&mut browser, "#probes li:last-child").contains(": the schema is at version 0"));
    let requests = browser.requested_urls().iter().filter(|url| url.ends_with("/db-check")).count();
    assert_eq!(requests, 2);
}

#[test]
#[cfg_attr(not(has_chromium), ignore = "Chromium is not installed")]
fn asynchronous_run_shows_progress_until_it_is_done() {
    let mut browser = Browser::start();
    let app = App::start();
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"socks": 5}}));
    browser.navigate(&format!("{}/", app.base()));
    assert!(send(&mut browser, "datasets").starts_with("201 Created, "));
    select(&mut browser, "datasets", "run-async");
    assert!(send(&mut browser, "datasets").starts_with("202 Accepted, "));
    let bar = "(({ hidden, value, max }) => [hidden, value, max])\
               (document.querySelector('#datasets progress'))";
    assert_eq!(browser.evaluate(bar), json!([false, 0, 1]));
    assert!(text(&mut browser, "#datasets .body").contains("\"state\": \"queued\""));
    let message = app.value("SELECT body FROM katas.outbox");
    let message = serde_json::from_str(&message).expect("a JSON object");
    assert_eq!(app.post("/api/v1/run-parts", &message).status, 201);
    browser.wait_until(
        "document.querySelector('#datasets .body').textContent.includes('\"state\": \"done\"')",
    );
    assert_eq!(browser.evaluate(bar), json!([false, 1, 1]));
    assert!(text(&mut browser, "#datasets .body").contains("\"key\": \"Ada\""));
    assert_eq!(browser.errors(), [&Value::Null; 0]);
}

/// Chooses a CSV file of this size.
fn choose_file(browser: &mut Browser, bytes: usize) {
    browser.evaluate(&format!(
        "{{ const input = document.querySelector('#datasets input[type=file]'); \
            const files = new DataTransfer(); \
            files.items.add(new File(['a\\n', 'xxxxxxx\\n'.repeat({})], 'x.csv')); \
            input.files = files.files; \
            input.dispatchEvent(new Event('change', {{ bubbles: true }})); \
            input.dispatchEvent(new Event('input', {{ bubbles: true }})); }}",
        bytes / 8
    ));
}

#[test]
#[cfg_attr(not(has_chromium), ignore = "Chromium is not installed")]
fn upload_of_a_file_shows_progress_and_too_large_a_file_is_not_sent() {
    let mut browser = Browser::start();
    let app = App::start();
    browser.navigate(&format!("{}/", app.base()));
    browser.evaluate(
        "{ window.outcomes = []; \
           new MutationObserver(() => outcomes.push( \
               document.querySelector('#datasets .outcome').textContent)) \
             .observe(document.querySelector('#datasets .outcome'), { childList: true }); }",
    );
    choose_file(&mut browser, 8 << 20);
    let outcome = send(&mut browser, "datasets");
    assert!(outcome.starts_with("201 Created, "), "{outcome}");
    assert!(text(&mut browser, "#datasets .headers").contains("location/api/v1/datasets/"));
    assert_eq!(
        browser
            .evaluate("outcomes.some((text) => /^Sent [\\d,]+ of 8,388,610 bytes…$/.test(text))"),
        true
    );
    assert_eq!(app.value("SELECT rows::text FROM katas.dataset"), "1048576");

    choose_file(&mut browser, 64 << 20);
    browser.evaluate("document.querySelector('#datasets .send').click()");
    let errors =
        "[...document.querySelectorAll('#datasets .error')].map((e) => e.textContent).join('')";
    assert_eq!(browser.evaluate(errors), "The file is larger than 64 MiB.");
    assert_eq!(app.value("SELECT count(*)::text FROM katas.dataset"), "1");
    assert_eq!(browser.errors(), [&Value::Null; 0]);
}

#[test]
#[cfg_attr(not(has_chromium), ignore = "Chromium is not installed")]
fn operation_shows_request_response_and_field_errors() {
    let mut browser = Browser::start();
    let app = App::start();
    browser.navigate(&format!("{}/", app.base()));
    fill(&mut browser, "dictionary-word", "a/b 'c'");
    assert_eq!(
        text(&mut browser, "#dictionary .http"),
        "POST /api/v1/newentry\nContent-Type: application/json\n\n\
         {\"word\": \"a/b 'c'\", \"definition\": \"A fruit\"}"
    );
    assert_eq!(
        text(&mut browser, "#dictionary .curl"),
        format!(
            r#"curl -s -X POST '{}/api/v1/newentry' -H 'Content-Type: application/json' --data-binary '{{"word": "a/b '\''c'\''", "definition": "A fruit"}}'"#,
            app.base()
        )
    );
    assert!(send(&mut browser, "dictionary").starts_with("201 Created, "));
    assert_eq!(
        text(&mut browser, "#dictionary .body"),
        "{\n  \"word\": \"a/b 'c'\",\n  \"definition\": \"A fruit\"\n}"
    );
    assert!(text(&mut browser, "#dictionary .headers").contains("api-version1"));
    // The other operation has the edited word.
    select(&mut browser, "dictionary", "look");
    assert!(send(&mut browser, "dictionary").starts_with("200 OK, "));
    assert_eq!(browser.errors(), Vec::<&Value>::new());

    select(&mut browser, "dictionary", "add");
    fill(&mut browser, "dictionary-word", "");
    assert!(send(&mut browser, "dictionary").starts_with("422 Unprocessable "));
    assert_eq!(text(&mut browser, "#dictionary-word-error"), "must not be empty");
}

#[test]
#[cfg_attr(not(has_chromium), ignore = "Chromium is not installed")]
fn token_is_sent_but_neither_shown_nor_stored() {
    let mut browser = Browser::start();
    let app = App::with_token("a-secret");
    browser.navigate(&format!("{}/", app.base()));
    assert!(send(&mut browser, "dictionary").starts_with("401 Unauthorized, "));
    fill(&mut browser, "token", "a-secret");
    assert!(send(&mut browser, "dictionary").starts_with("201 Created, "));
    let page = browser.evaluate("document.body.innerText + document.body.innerHTML");
    assert!(!page.as_str().expect("a string").contains("a-secret"));
    assert!(text(&mut browser, "#dictionary .curl").contains("\"Authorization: Bearer $TOKEN\""));
    assert_eq!(browser.evaluate("localStorage.length + sessionStorage.length"), 0);
}

#[test]
#[cfg_attr(not(has_chromium), ignore = "Chromium is not installed")]
fn operations_succeed_in_page_order() {
    let mut browser = Browser::start();
    let app = App::start();
    browser.navigate(&format!("{}/", app.base()));
    let operations = browser.evaluate(
        "[...document.querySelectorAll('.operation input')] \
             .map((radio) => [radio.name, radio.value])",
    );
    let operations = operations.as_array().expect("an array");
    assert!(operations.len() > 20, "{}", operations.len());
    for operation in operations {
        let [service, id] =
            [&operation[0], &operation[1]].map(|value| value.as_str().expect("a string"));
        select(&mut browser, service, id);
        let outcome = send(&mut browser, service);
        assert!(outcome.starts_with('2'), "{service} {id}: {outcome}");
    }
    assert_eq!(browser.errors(), Vec::<&Value>::new());
}

#[test]
#[cfg_attr(not(has_chromium), ignore = "Chromium is not installed")]
fn playground_is_accessible_and_fits_narrow_screen() {
    let mut browser = Browser::start();
    let app = App::start();
    browser.navigate(&format!("{}/", app.base()));
    let unlabeled = browser.evaluate(
        "[...document.querySelectorAll('input, textarea')] \
             .filter((it) => !it.labels?.length && !it.ariaLabel).map((it) => it.name)",
    );
    assert_eq!(unlabeled.as_array().map(Vec::len), Some(0), "{unlabeled}");
    let repeated = browser.evaluate(
        "[...document.querySelectorAll('[id]')].map((it) => it.id) \
             .filter((id, index, all) => all.indexOf(id) !== index)",
    );
    assert_eq!(repeated.as_array().map(Vec::len), Some(0), "{repeated}");
    browser.set_width(360);
    let width = browser.evaluate("document.documentElement.scrollWidth");
    assert!(width.as_u64().is_some_and(|width| width <= 360), "{width}");
}

#[test]
#[cfg_attr(not(has_chromium), ignore = "Chromium is not installed")]
fn swagger_ui_shows_every_operation_without_errors_or_other_origins() {
    let mut browser = Browser::start();
    let app = App::start();
    let operations = Document::fetch(&app).operations().len();
    browser.navigate(&format!("{}/docs", app.base()));
    browser.wait_until(&format!("document.querySelectorAll('.opblock').length === {operations}"));
    assert_eq!(browser.errors(), Vec::<&Value>::new());
    for url in browser.requested_urls() {
        assert!(url.starts_with(app.base()), "{url}");
    }
}
