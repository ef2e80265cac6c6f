//! The pages in a browser, where one is installed.

use serde_json::Value;

use super::browser::Browser;
use super::schema::Document;
use crate::support::App;

/// Presses the button that sends, and waits for the outcome.
#[track_caller]
fn send(browser: &mut Browser, kata: &str) -> String {
    let outcome = format!("document.querySelector('#{kata} .outcome').textContent");
    browser.evaluate(&format!("document.querySelector('#{kata} .send').click()"));
    browser.until(&format!("!document.querySelector('#{kata} .send').disabled"));
    browser.evaluate(&outcome).as_str().expect("a text").to_owned()
}

fn choose(browser: &mut Browser, kata: &str, call: &str) {
    browser.evaluate(&format!("document.querySelector('#{kata} input[value={call}]').click()"));
}

fn fill(browser: &mut Browser, id: &str, text: &str) {
    browser.evaluate(&format!(
        "{{ const control = document.getElementById('{id}'); control.value = {text:?}; \
            control.dispatchEvent(new Event('input', {{ bubbles: true }})); }}"
    ));
}

fn text(browser: &mut Browser, selector: &str) -> String {
    let text = browser.evaluate(&format!("document.querySelector('{selector}').textContent"));
    text.as_str().expect("a text").to_owned()
}

#[test]
fn the_page_shows_the_state_of_the_probes_and_asks_again_only_when_it_is_told_to() {
    let Some(mut browser) = Browser::start() else { return };
    let app = App::start();
    browser.visit(&format!("{}/", app.base()));
    let all_are = |outcome| {
        format!(
            "document.querySelectorAll('#probes [data-outcome={outcome}]').length === 3 \
         && !document.getElementById('check').disabled"
        )
    };
    browser.until(&all_are("good"));
    assert!(text(&mut browser, "#probes li:last-child").starts_with("/db-check 200 in "));
    app.sql("UPDATE katas._sqlx_migrations SET success = false");
    browser.evaluate("document.getElementById('check').click()");
    browser.until("document.querySelector('#probes li:last-child').dataset.outcome === 'failed'");
    assert!(text(&mut browser, "#probes li:last-child").contains(": the schema is at version 0"));
    let asked = browser.requested().iter().filter(|url| url.ends_with("/db-check")).count();
    assert_eq!(asked, 2);
}

#[test]
fn a_call_shows_its_request_and_its_response() {
    let Some(mut browser) = Browser::start() else { return };
    let app = App::start();
    browser.visit(&format!("{}/", app.base()));
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
    // What was typed is still there.
    choose(&mut browser, "dictionary", "look");
    assert!(send(&mut browser, "dictionary").starts_with("200 OK, "));
    assert_eq!(browser.complaints(), Vec::<&Value>::new());

    choose(&mut browser, "dictionary", "add");
    fill(&mut browser, "dictionary-word", "");
    assert!(send(&mut browser, "dictionary").starts_with("422 Unprocessable "));
    assert_eq!(text(&mut browser, "#dictionary-word-error"), "must not be empty");
}

#[test]
fn the_token_is_sent_and_not_shown() {
    let Some(mut browser) = Browser::start() else { return };
    let app = App::with_token("a-secret");
    browser.visit(&format!("{}/", app.base()));
    assert!(send(&mut browser, "dictionary").starts_with("401 Unauthorized, "));
    fill(&mut browser, "token", "a-secret");
    assert!(send(&mut browser, "dictionary").starts_with("201 Created, "));
    let shown = browser.evaluate("document.body.innerText + document.body.innerHTML");
    assert!(!shown.as_str().expect("a text").contains("a-secret"));
    assert!(text(&mut browser, "#dictionary .curl").contains("\"Authorization: Bearer $TOKEN\""));
    assert_eq!(browser.evaluate("localStorage.length + sessionStorage.length"), 0);
}

#[test]
fn every_call_of_the_page_succeeds_in_its_order() {
    let Some(mut browser) = Browser::start() else { return };
    let app = App::start();
    browser.visit(&format!("{}/", app.base()));
    let calls = browser
        .evaluate("[...document.querySelectorAll('.call input')].map((it) => [it.name, it.value])");
    let calls = calls.as_array().expect("calls");
    assert!(calls.len() > 20, "{}", calls.len());
    for call in calls {
        let [kata, id] = [&call[0], &call[1]].map(|it| it.as_str().expect("a text"));
        choose(&mut browser, kata, id);
        let outcome = send(&mut browser, kata);
        assert!(outcome.starts_with('2'), "{kata} {id}: {outcome}");
    }
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
}

#[test]
fn everything_on_the_page_has_a_label_and_fits_on_a_telephone() {
    let Some(mut browser) = Browser::start() else { return };
    let app = App::start();
    browser.visit(&format!("{}/", app.base()));
    let unlabelled = browser.evaluate(
        "[...document.querySelectorAll('input, textarea')] \
             .filter((it) => !it.labels?.length && !it.ariaLabel).map((it) => it.name)",
    );
    assert_eq!(unlabelled.as_array().map(Vec::len), Some(0), "{unlabelled}");
    let twice = browser.evaluate(
        "[...document.querySelectorAll('[id]')].map((it) => it.id) \
             .filter((id, index, all) => all.indexOf(id) !== index)",
    );
    assert_eq!(twice.as_array().map(Vec::len), Some(0), "{twice}");
    browser.narrow(360);
    let width = browser.evaluate("document.documentElement.scrollWidth");
    assert!(width.as_u64().is_some_and(|width| width <= 360), "{width}");
}

#[test]
fn swagger_ui_shows_every_operation_under_the_pages_policy() {
    let Some(mut browser) = Browser::start() else { return };
    let app = App::start();
    let operations = Document::of(&app).operations().len();
    browser.visit(&format!("{}/docs", app.base()));
    browser.until(&format!("document.querySelectorAll('.opblock').length === {operations}"));
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
    for url in browser.requested() {
        assert!(url.starts_with(app.base()), "{url}");
    }
}
