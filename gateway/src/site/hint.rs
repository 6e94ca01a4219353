//! What a person probably meant by a key that there is not: the nearest name of those that there are. Pure.

/// The parser's words as one sentence; an unknown field with the nearest one that there is.
pub fn explained(message: &str) -> String {
    let message = message.trim().replace('\n', ", ");
    let Some((unknown, rest)) = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) else { return message };
    // "expected one of `a`, `b`", or "expected `a` or `b`": every second piece between the ticks is a name.
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let nearest = known.iter().map(|name| (distance(unknown, name), *name)).min();
    match nearest {
        Some((steps, name)) if steps <= (unknown.chars().count() / 3).max(2) => {
            format!("unknown field `{unknown}`; did you mean `{name}`?")
        }
        _ if known.is_empty() => message,
        _ => format!("unknown field `{unknown}`; there are {}", known.join(", ")),
    }
}

/// Letters to change, add or leave out to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in (1..).zip(one.chars()) {
        let mut corner = std::mem::replace(&mut row[0], above);
        for (place, counterpart) in other.iter().enumerate() {
            let changed = corner + usize::from(letter != *counterpart);
            corner = row[place + 1];
            row[place + 1] = changed.min(corner + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_nearly_right_is_told_the_right_one() {
        let check = |message, said| assert_eq!(explained(message), said);
        check("unknown field `bauds`, expected one of `name`, `tcp`, `baud`", "unknown field `bauds`; did you mean `baud`?");
        check("unknown field `listne`, expected `listen` or `heartbeat`", "unknown field `listne`; did you mean `listen`?");
        check("unknown field `colour`, expected `high` or `low`", "unknown field `colour`; there are high, low");
        check("missing field `url`\n", "missing field `url`");
    }

    #[test]
    fn the_distance_counts_letters() {
        assert_eq!([distance("", "abc"), distance("kitten", "sitting"), distance("baud", "baud"), distance("巴德", "巴")], [3, 3, 0, 1]);
    }
}
