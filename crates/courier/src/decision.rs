//! What to do with a message after an attempt to deliver it.

use http::StatusCode;

/// How many times a message is sent that the application fails to process.
pub const MAX_TRIES: u32 = 5;

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// It was accepted: remove it.
    Acknowledge,
    /// The application cannot accept any message now: keep this one, and pause.
    Hold,
    /// The application failed to process this message: send it again after a while.
    Retry,
    /// The application rejects this message: move it to the dead letters.
    DeadLetter,
}

/// Decides what to do after an attempt. `status` is the status of the response, or `None` if there
/// was none: connection refused, cut off or timed out. `tries` is the number of attempts so far
/// that were not held, including this one. `may_be_gone` is [`Request::may_be_gone`].
///
/// [`Request::may_be_gone`]: crate::queue::Request::may_be_gone
pub fn decide(status: Option<StatusCode>, tries: u32, may_be_gone: bool) -> Action {
    let Some(status) = status else { return Action::Hold };
    match status.as_u16() {
        200..=299 => Action::Acknowledge,
        404 if may_be_gone => Action::Acknowledge,
        // The deployment is at fault, not the message: the path is fixed, so a redirect (3xx), a
        // missing route (404, 405) or host (421) means that the application is an older release or
        // another one, and 401 and 403 that the token is wrong.
        300..=399 | 401 | 403 | 404 | 405 | 421 => Action::Hold,
        // Overload or a slow connection.
        408 | 425 | 429 | 502..=504 => Action::Hold,
        400..=499 => Action::DeadLetter,
        _ if tries < MAX_TRIES => Action::Retry,
        _ => Action::DeadLetter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, tries: u32) -> Action {
        decide(Some(StatusCode::from_u16(status).unwrap()), tries, false)
    }

    #[test]
    fn success_is_acknowledged() {
        for code in [200, 201, 202, 204] {
            assert_eq!(status(code, 1), Action::Acknowledge, "{code}");
        }
    }

    #[test]
    fn unavailable_application_holds_the_message_however_often() {
        for tries in [1, MAX_TRIES, 1000] {
            assert_eq!(decide(None, tries, false), Action::Hold);
            for code in [408, 425, 429, 502, 503, 504] {
                assert_eq!(status(code, tries), Action::Hold, "{code}");
            }
        }
    }

    #[test]
    fn wrong_deployment_holds_the_message() {
        for code in [301, 307, 401, 403, 404, 405, 421] {
            assert_eq!(status(code, 1), Action::Hold, "{code}");
        }
    }

    #[test]
    fn missing_subject_is_acknowledged_where_it_may_be_gone() {
        assert_eq!(decide(Some(StatusCode::NOT_FOUND), 1, true), Action::Acknowledge);
        assert_eq!(decide(Some(StatusCode::METHOD_NOT_ALLOWED), 1, true), Action::Hold);
    }

    #[test]
    fn invalid_message_is_a_dead_letter_at_once() {
        for code in [400, 409, 413, 415, 422] {
            assert_eq!(status(code, 1), Action::DeadLetter, "{code}");
        }
    }

    #[test]
    fn failing_application_is_tried_five_times() {
        for code in [500, 501, 507] {
            for tries in 1..5 {
                assert_eq!(status(code, tries), Action::Retry, "{code}");
            }
            assert_eq!(status(code, 5), Action::DeadLetter, "{code}");
        }
    }
}
