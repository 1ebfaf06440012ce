//! A small JSONPath: where the text of an answer is, for APIs we do not know.
//!
//! `$.a.b[0].c`, `['a b']`, `[*]`, `.*`, `[-1]`. The leading `$` may be left out, and `[]` means `[*]`, so that
//! the plain paths of JMESPath (AIPerf's `response_field`) mean the same here.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    source: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    /// From the end when negative.
    Index(i64),
    All,
}

/// A text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path '{path}': {reason} at character {position}")]
pub struct JsonPathError {
    /// The path as given.
    pub path: String,
    /// What is wrong.
    pub reason: &'static str,
    /// Where, from 1.
    pub position: usize,
}

impl JsonPath {
    /// All values the path leads to, in document order.
    pub fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.of(value)).collect();
        }
        found
    }
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Step::Key(key), Value::Object(object)) => object.get(key).into_iter().collect(),
            (Step::Index(index), Value::Array(items)) => {
                let from_end = items.len() as i64 + index;
                let index = if *index < 0 { from_end } else { *index };
                usize::try_from(index).ok().and_then(|index| items.get(index)).into_iter().collect()
            }
            (Step::All, Value::Array(items)) => items.iter().collect(),
            (Step::All, Value::Object(object)) => object.values().collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl FromStr for JsonPath {
    type Err = JsonPathError;

    fn from_str(path: &str) -> Result<Self, JsonPathError> {
        let source = path.trim();
        let mut rest = source.strip_prefix('$').unwrap_or(source);
        let error = |rest: &str, reason| JsonPathError {
            path: source.to_owned(),
            reason,
            position: source[..source.len() - rest.len()].chars().count() + 1,
        };
        let mut steps = Vec::new();
        // Without `$`, the first name needs no dot.
        let mut bare_name = !source.starts_with('$');
        while !rest.is_empty() {
            let step;
            if let Some(inside) = rest.strip_prefix('[') {
                (step, rest) = bracket(inside).map_err(|reason| error(rest, reason))?;
            } else {
                let name = match rest.strip_prefix('.') {
                    Some(name) => name,
                    None if bare_name => rest,
                    None => return Err(error(rest, "expected '.' or '['")),
                };
                let end = name.find(['.', '[', ']']).unwrap_or(name.len());
                if end == 0 {
                    return Err(error(name, "expected a name"));
                }
                step = if &name[..end] == "*" { Step::All } else { Step::Key(name[..end].to_owned()) };
                rest = &name[end..];
            }
            bare_name = false;
            steps.push(step);
        }
        if source.is_empty() {
            return Err(error(rest, "the path is empty"));
        }
        Ok(JsonPath { source: source.to_owned(), steps })
    }
}

/// What follows a `[`: a quoted key, an index, `*` or nothing; and the rest after the `]`.
fn bracket(inside: &str) -> Result<(Step, &str), &'static str> {
    for quote in ['\'', '"'] {
        if let Some(quoted) = inside.strip_prefix(quote) {
            let (key, after) = quoted.split_once(quote).ok_or("the quote is not closed")?;
            let after = after.strip_prefix(']').ok_or("expected ']' after the quoted name")?;
            return Ok((Step::Key(key.to_owned()), after));
        }
    }
    let (index, after) = inside.split_once(']').ok_or("the bracket is not closed")?;
    match index.trim() {
        "*" | "" => Ok((Step::All, after)),
        number => {
            let index = number.parse().map_err(|_| "expected an index, '*' or a quoted name")?;
            Ok((Step::Index(index), after))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn find(path: &str) -> Vec<Value> {
        let root = json!({"a": {"b": [{"c": 1}, {"c": 2}], "x y": "z"}, "list": ["p", "q"]});
        path.parse::<JsonPath>().unwrap().find(&root).into_iter().cloned().collect()
    }

    #[test]
    fn paths_lead_to_values() {
        assert_eq!(find("$.a.b[0].c"), [json!(1)]);
        assert_eq!(find("a.b[1].c"), [json!(2)]);
        assert_eq!(find("$.a.b[-1].c"), [json!(2)]);
        assert_eq!(find("$.a.b[*].c"), [json!(1), json!(2)]);
        assert_eq!(find("a.b[].c"), [json!(1), json!(2)]);
        assert_eq!(find("$['a'][\"x y\"]"), [json!("z")]);
        assert_eq!(find("$.list.*"), [json!("p"), json!("q")]);
        assert_eq!(find("$").len(), 1);
        for nothing in ["$.none", "$.a[0]", "$.list[2]", "$.list[-3]", "$.list.p"] {
            assert!(find(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn errors_say_where() {
        for (path, position) in [
            ("", 1),
            ("$a", 2),
            ("$..a", 3),
            ("$.a.", 5),
            ("$.a[", 4),
            ("$.a[x]", 4),
            ("$.a['b]", 4),
            ("$.a['b'", 4),
            ("$.ä]", 4),
        ] {
            assert_eq!(path.parse::<JsonPath>().unwrap_err().position, position, "{path}");
        }
    }
}
