//! API Gateway's file format of API keys, with its leniency, and the ledger as CSV.
//!
//! "API Gateway API key file format": a header line with `Name` and `Key`, and, if wanted, `Description`, `Enabled` and
//! `UsagePlanIds`, in any order and case; other columns are passed over. Several plans stand in quotes, double or single,
//! with commas between. Here plans are named, not numbered.

use super::keys::KeyWish;

/// A key of a file.
#[derive(Debug)]
pub struct Line {
    /// Where it stands; the first line is 1.
    pub number: u64,
    /// The key.
    pub wish: KeyWish,
}

/// Why a file cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// A column that must be there.
    #[error("the first line names no column `{0}`; it needs `Name` and `Key`, with commas between")]
    Column(&'static str),
    /// Two columns with one name.
    #[error("the first line names the column `{0}` twice")]
    Twice(String),
    /// No CSV.
    #[error("line {line} is no CSV")]
    Syntax {
        /// The line.
        line: u64,
    },
}

/// Columns that mean something.
const COLUMNS: [&str; 5] = ["name", "key", "description", "enabled", "usageplanids"];

/// Reads a file; lines that are wrong are told in the warnings. `first` is the number of the line after the header, if the
/// text is a part of a file.
///
/// # Errors
/// [`CsvError`].
pub fn read(text: &str, first: u64) -> Result<(Vec<Line>, Vec<String>), CsvError> {
    // Spreadsheets write a byte order mark.
    let skipped = first.saturating_sub(2);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut records = reader.records();
    let header = match records.next() {
        Some(Ok(header)) => header,
        Some(Err(_)) => return Err(CsvError::Syntax { line: 1 }),
        None => return Err(CsvError::Column("Name")),
    };
    let mut places = [None; COLUMNS.len()];
    for (at, name) in header.iter().enumerate() {
        let name = name.to_ascii_lowercase();
        let Some(place) = COLUMNS.iter().position(|column| *column == name).and_then(|at| places.get_mut(at)) else {
            continue;
        };
        if place.replace(at).is_some() {
            return Err(CsvError::Twice(name));
        }
    }
    let [name, key, description, enabled, plans] = places;
    let name = name.ok_or(CsvError::Column("Name"))?;
    let key = key.ok_or(CsvError::Column("Key"))?;
    let (mut lines, mut warnings) = (Vec::new(), Vec::new());
    for record in records {
        let record =
            record.map_err(|error| CsvError::Syntax { line: error.position().map_or(0, csv::Position::line) })?;
        let number = record.position().map_or(0, |start| line_of(text, start)) + skipped;
        let fields = single_quoted(&record);
        let field = |at: Option<usize>| at.and_then(|at| fields.get(at)).map_or("", String::as_str);
        let enabled = match field(enabled).to_ascii_lowercase().as_str() {
            "" | "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        let (Some(enabled), false, false) = (enabled, field(Some(name)).is_empty(), field(Some(key)).is_empty()) else {
            let what = match (enabled, field(Some(name))) {
                (None, _) => "`Enabled` is neither TRUE nor FALSE",
                (_, "") => "there is no `Name`",
                _ => "there is no `Key`",
            };
            warnings.push(format!("line {number}: {what}"));
            continue;
        };
        let mut named: Vec<String> = Vec::new();
        for plan in field(plans).split(',').map(str::trim).filter(|plan| !plan.is_empty()) {
            if !named.iter().any(|known| known == plan) {
                named.push(plan.to_owned());
            }
        }
        lines.push(Line {
            number,
            wish: KeyWish {
                name: field(Some(name)).to_owned(),
                description: field(description).to_owned(),
                plans: named,
                enabled: Some(enabled),
                value: Some(field(Some(key)).to_owned()),
                ..KeyWish::default()
            },
        });
    }
    Ok((lines, warnings))
}

/// The line of a record that begins here: empty lines before it are passed over.
fn line_of(text: &str, start: &csv::Position) -> u64 {
    let before = usize::try_from(start.byte()).ok().and_then(|at| text.as_bytes().get(at..)).unwrap_or_default();
    let empty = before.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
    start.line() + u64::try_from(empty).unwrap_or(0)
}

/// The fields of a line, those in single quotes put together again.
fn single_quoted(record: &csv::StringRecord) -> Vec<String> {
    let mut fields: Vec<String> = Vec::with_capacity(record.len());
    let mut open: Option<String> = None;
    for part in record {
        let (text, begins) = match open.take() {
            Some(before) => (format!("{before},{part}"), true),
            None => (part.to_owned(), part.starts_with('\'')),
        };
        let closed = text.len() > 1 && text.ends_with('\'');
        match (begins, closed) {
            (true, true) => fields.push(text.trim_matches('\'').to_owned()),
            (true, false) => open = Some(text),
            (false, _) => fields.push(text),
        }
    }
    // A quote that is never closed is a character like others.
    if let Some(text) = open {
        fields.extend(text.split(',').map(str::to_owned));
    }
    fields
}

/// A field as CSV (RFC 4180, 2). What a spreadsheet would take for a formula gets a `'` before it.
#[must_use]
pub fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_api_gateway_is_read() {
        let text = "Key,Name,Description,Enabled,UsagePlanIds\n\
                    apikey1234abcdefghij0123456789,MyFirstApiKey,An imported key,TRUE,c7y23b\n\
                    \r\nabcdef1234567890abcdefghij,two,,,\"c7y23b,glvrsr\"\n";
        let (lines, warnings) = read(text, 0).unwrap();
        assert_eq!(warnings, [] as [&str; 0]);
        let seen: Vec<_> = lines.iter().map(|line| (line.wish.name.as_str(), line.wish.plans.join("+"))).collect();
        assert_eq!(seen, [("MyFirstApiKey", "c7y23b".to_owned()), ("two", "c7y23b+glvrsr".to_owned())]);
        assert_eq!(lines[0].wish.description, "An imported key");
        assert_eq!((lines[1].wish.enabled, lines[1].number), (Some(true), 4));
    }

    #[test]
    fn columns_in_any_order_and_case_and_others_too() {
        let text = "\u{feff}usageplanIDs , NAME,extra,KEY\n'a, b',n,x,k\nz,m,y,q,more\n";
        let (lines, _) = read(text, 0).unwrap();
        assert_eq!(lines[0].wish.plans, ["a", "b"]);
        assert_eq!((lines[0].wish.name.as_str(), lines[0].wish.value.as_deref()), ("n", Some("k")));
        assert_eq!(
            (lines[1].wish.plans.as_slice(), lines[1].wish.value.as_deref()),
            (&["z".to_owned()][..], Some("q"))
        );
    }

    #[test]
    fn wrong_lines_are_told_and_wrong_files_refused() {
        let (lines, warnings) = read("name,key,enabled\na,,\n,k,\nb,k,maybe\nc,k,false\n", 0).unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].wish.enabled, Some(false));
        assert_eq!(
            warnings,
            ["line 2: there is no `Key`", "line 3: there is no `Name`", "line 4: `Enabled` is neither TRUE nor FALSE"]
        );
        assert_eq!(read("", 0).unwrap_err(), CsvError::Column("Name"));
        assert_eq!(read("name,value\n", 0).unwrap_err(), CsvError::Column("Key"));
        assert_eq!(read("name,key,NAME\n", 0).unwrap_err(), CsvError::Twice("name".to_owned()));
    }

    #[test]
    fn fields_are_quoted() {
        for (text, written) in [("a", "a"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("=1+1", "'=1+1"), ("", "")] {
            assert_eq!(field(text), written);
        }
    }
}
