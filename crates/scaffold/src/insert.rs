//! Inserts text into existing files at its sorted or logical place, and replaces what is derived.

use anyhow::{Context, bail};

/// Replaces the text between `prefix`, which occurs once, and the next `suffix`.
pub fn replace_between(
    text: &str,
    prefix: &str,
    suffix: &str,
    value: &str,
) -> anyhow::Result<String> {
    let start = find_once(text, prefix)? + prefix.len();
    let length =
        text[start..].find(suffix).with_context(|| format!("no {suffix:?} after {prefix:?}"))?;
    Ok([&text[..start], value, &text[start + length..]].concat())
}

/// Returns the position of a text that occurs once.
fn find_once(text: &str, part: &str) -> anyhow::Result<usize> {
    let positions: Vec<_> = text.match_indices(part).map(|(position, _)| position).collect();
    match positions[..] {
        [position] => Ok(position),
        _ => bail!("{part:?} occurs {} times, expected once", positions.len()),
    }
}

/// Inserts `line` in the block of consecutive lines around a line that starts with `prefix`, before
/// the first line with the prefix that is greater.
pub fn sorted_line(text: &str, prefix: &str, line: &str) -> anyhow::Result<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().rposition(|other| other.starts_with(prefix));
    let last = last.with_context(|| format!("no line starts with {prefix:?}"))?;
    let greater = lines.iter().position(|other| other.starts_with(prefix) && *other > line);
    lines.insert(greater.unwrap_or(last + 1), line);
    Ok(lines.join("\n") + "\n")
}

/// Inserts a block before the first one whose heading is greater. Blocks are separated by blank lines
/// and begin with `heading`; the new one follows the last of them if none is greater.
pub fn sorted_block(text: &str, heading: &str, block: &str) -> anyhow::Result<String> {
    let starts: Vec<usize> = block_starts(text, heading);
    let key = first_line(block);
    let greater = starts.iter().find(|&&start| first_line(&text[start..]) > key);
    let position = match (greater, starts.last()) {
        (Some(&start), _) => start,
        (None, Some(&last)) => block_end(text, last, heading),
        (None, None) => bail!("no line starts with {heading:?}"),
    };
    Ok(insert_block(text, position, block))
}

/// Inserts `addition` before `anchor`, which occurs once.
pub fn before(text: &str, anchor: &str, addition: &str) -> anyhow::Result<String> {
    let (head, tail) = text.split_at(find_once(text, anchor)?);
    Ok([head, addition, tail].concat())
}

/// Appends an item to the list that begins with `opening` and ends with a line that starts with `]`.
pub fn append(text: &str, opening: &str, item: &str) -> anyhow::Result<String> {
    let start = text.find(opening).with_context(|| format!("no {opening:?}"))? + opening.len();
    let length = text[start..].find("\n]").with_context(|| format!("no end of {opening:?}"))?;
    let (head, tail) = text.split_at(start + length + 1);
    Ok([head, item, tail].concat())
}

/// Inserts a block, followed by a blank line, at `position`, which begins a block or ends the text.
pub fn insert_block(text: &str, position: usize, block: &str) -> String {
    let (head, tail) = text.split_at(position);
    match tail.is_empty() {
        true => format!("{}\n\n{}\n", head.trim_end(), block.trim_end()),
        false => format!("{head}{}\n\n{tail}", block.trim_end()),
    }
}

/// Returns the positions of the lines that start with `heading`, after a blank line or at the start.
fn block_starts(text: &str, heading: &str) -> Vec<usize> {
    let found = text.match_indices(heading).map(|(start, _)| start);
    found.filter(|&start| start == 0 || text[..start].ends_with("\n\n")).collect()
}

/// Returns the end of the blocks with this heading that begin at `start`, comments included.
fn block_end(text: &str, start: usize, heading: &str) -> usize {
    let mut position = start;
    while let Some(length) = text[position..].find("\n\n") {
        position += length + 2;
        let mut lines = text[position..].lines().skip_while(|line| line.starts_with('#'));
        if !lines.next().is_some_and(|line| line.starts_with(heading)) {
            return position;
        }
    }
    text.len()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_between_prefix_and_suffix_is_replaced() {
        let text = "a: 1\nb: 2 # two\n";
        assert_eq!(replace_between(text, "b: ", " #", "30").unwrap(), "a: 1\nb: 30 # two\n");
        for prefix in ["c: ", ": "] {
            assert!(replace_between(text, prefix, "\n", "3").is_err(), "{prefix}");
        }
    }

    #[test]
    fn line_is_inserted_in_order() {
        let text = "//! x\n\nmod a;\nmod c;\n\nfn b() {}\n";
        for (line, place) in
            [("mod b;", "mod a;\nmod b;\nmod c;\n"), ("mod d;", "mod c;\nmod d;\n\n")]
        {
            let inserted = sorted_line(text, "mod ", line).unwrap();
            assert!(inserted.contains(place), "{inserted}");
        }
    }

    #[test]
    fn item_is_appended_to_its_list() {
        let text = "a = [\n  1,\n];\nb = [\n  [2],\n];\n";
        let appended = append(text, "b = [\n", "  [3],\n").unwrap();
        assert_eq!(appended, "a = [\n  1,\n];\nb = [\n  [2],\n  [3],\n];\n");
        assert!(append(text, "c = [\n", "").is_err());
    }

    #[test]
    fn block_is_inserted_in_order_with_its_continuations() {
        let text = "x\n\n[c.a]\n1\n\n# note\n[c.a.b]\n2\n\n[c.d]\n3\n";
        let inserted = sorted_block(text, "[c.", "[c.b]\n4\n").unwrap();
        assert_eq!(inserted, "x\n\n[c.a]\n1\n\n# note\n[c.a.b]\n2\n\n[c.b]\n4\n\n[c.d]\n3\n");
        let last = sorted_block(text, "[c.", "[c.e]\n4\n").unwrap();
        assert!(last.ends_with("[c.d]\n3\n\n[c.e]\n4\n"), "{last}");
    }
}
