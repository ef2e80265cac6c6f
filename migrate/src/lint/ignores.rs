//! Comments that suppress findings.

use squawk_lexer::{TokenKind, tokenize};

use super::line_of;
use migrations::sql::comments;

/// A comment that suppresses rules.
pub(super) struct Ignore<'a> {
    /// The offset of the comment in bytes.
    pub(super) at: usize,
    /// The line to which it applies. `None` for the whole file.
    pub(super) line: Option<usize>,
    pub(super) rules: Vec<&'a str>,
    /// Whether it states a reason.
    pub(super) explained: bool,
}

/// Disables squawk's own handling of ignore comments, without changing the length of the text.
/// Squawk accepts ignores without a reason, and does not report unused ones.
pub(super) fn mask_squawk_comments(sql: &str) -> String {
    let mut masked = String::with_capacity(sql.len());
    let mut start = 0;
    for token in tokenize(sql) {
        let text = &sql[start..start + token.len as usize];
        start += text.len();
        match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment { .. } => {
                masked.push_str(&text.replace("squawk-", "SQUAWK-"));
            }
            _ => masked.push_str(text),
        }
    }
    masked
}

/// Parses the ignore comments of a file.
pub(super) fn ignores(sql: &str) -> impl Iterator<Item = Ignore<'_>> {
    comments(sql).filter_map(|(at, comment)| {
        let rest = comment.trim_start_matches('-').trim_start().strip_prefix("squawk-ignore")?;
        let (rest, whole_file) = match rest.strip_prefix("-file") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (rules, reason) = rest.split_once("--").unwrap_or((rest, ""));
        let rules = rules.split(',').map(str::trim).filter(|rule| !rule.is_empty()).collect();
        let line = (!whole_file).then(|| target_line(sql, at));
        Some(Ignore { at, line, rules, explained: !reason.trim().is_empty() })
    })
}

/// Returns the line to which a comment applies: its line if it follows code, or else the next line
/// that contains code.
fn target_line(sql: &str, at: usize) -> usize {
    let comment_line = line_of(sql, at);
    if !sql[..at].rsplit('\n').next().unwrap_or_default().trim().is_empty() {
        return comment_line;
    }
    let after = sql.lines().enumerate().skip(comment_line);
    let mut code =
        after.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with("--"));
    code.next().map_or(comment_line, |(index, _)| index + 1)
}
