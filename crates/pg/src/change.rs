//! The results of conditional changes.

use std::fmt::Display;

use web::{Preconditions, Problem};

/// The result of a change to a resource that may not exist or may not match the preconditions of
/// the request.
///
/// The statement returns the changed row, and whether the resource existed before:
///
/// ```sql
/// WITH changed AS (UPDATE … WHERE id = $1 AND … RETURNING *)
/// SELECT …, EXISTS (SELECT FROM … WHERE id = $1) FROM (SELECT) AS one LEFT JOIN changed ON true
/// ```
#[derive(Debug, PartialEq)]
pub enum Change<T> {
    /// The change was applied.
    Applied(T),
    /// The resource does not exist.
    NotFound,
    /// The resource exists and does not match `If-Match` or `If-None-Match`.
    PreconditionFailed,
}

impl<T> Change<T> {
    /// Creates the result from the changed row, if any, and whether the resource existed before.
    pub fn new(applied: Option<T>, existed: bool, preconditions: &Preconditions) -> Change<T> {
        match applied {
            Some(applied) => Change::Applied(applied),
            None if existed && !preconditions.is_empty() => Change::PreconditionFailed,
            // Without preconditions, a concurrent request has deleted the resource.
            None => Change::NotFound,
        }
    }

    /// Returns the value of an applied change, otherwise 404 or 412. `resource` is the name of the
    /// resource in the message: `user 7`.
    pub fn applied(self, resource: impl Display) -> Result<T, Problem> {
        match self {
            Change::Applied(applied) => Ok(applied),
            Change::NotFound => Err(Problem::not_found(format!("{resource} not found"))),
            Change::PreconditionFailed => {
                let detail = format!("{resource} does not match the precondition");
                Err(Problem::precondition_failed(detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use web::Tags;

    use super::*;

    #[test]
    fn change_without_row_is_412_only_if_resource_existed_and_had_preconditions() {
        let none = Preconditions::default();
        let some = Preconditions { if_match: Some(Tags::Any), ..Preconditions::default() };
        assert_eq!(Change::new(Some(1), true, &none), Change::Applied(1));
        assert_eq!(Change::<i64>::new(None, true, &none), Change::NotFound);
        assert_eq!(Change::<i64>::new(None, false, &some), Change::NotFound);
        assert_eq!(Change::<i64>::new(None, true, &some), Change::PreconditionFailed);
    }

    #[test]
    fn change_that_was_not_applied_is_a_problem_that_names_the_resource() {
        let problem = Change::<()>::NotFound.applied("user 7").unwrap_err();
        assert_eq!(problem.status(), 404);
        let problem = Change::<()>::PreconditionFailed.applied("user 7").unwrap_err();
        assert_eq!(problem.status(), 412);
    }
}
