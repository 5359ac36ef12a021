//! A request or a response as it is on the wire: what events describe, what edits change, and what is compared.

use std::collections::BTreeMap;

use edgeweir_hookhost::{GeneratedResponse, HeaderEdit, RequestEdit, ResponseEdit};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What goes on from a request stage.
#[derive(Debug)]
pub(super) enum Sent {
    Answer(Message),
    /// With the edits that are not of the message.
    Request(Message, Vec<RequestEdit>),
}

/// Field lines by name, each name's in order.
pub(super) type Fields = BTreeMap<String, Vec<String>>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Of a response.
    pub(super) status: u16,
    /// Of a request.
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: Fields,
    /// A new one.
    pub(super) body: Option<Vec<u8>>,
}

impl Message {
    pub(super) fn of_answer(answer: &GeneratedResponse) -> Self {
        let mut message = Self { status: answer.status.as_u16(), ..Self::default() };
        for (name, value) in &answer.headers {
            message.add(name.as_str(), value.to_str().unwrap());
        }
        message.body = Some(answer.body.to_vec());
        message
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.headers.entry(name.to_owned()).or_default().push(value.to_owned());
    }

    pub(super) fn fields(&self) -> HeaderMap {
        let lines = self.headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        lines
            .map(|(name, value)| (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap()))
            .collect()
    }

    fn edit(&mut self, edit: &HeaderEdit) {
        match edit {
            HeaderEdit::Set(name, value) => {
                self.headers.insert(name.as_str().into(), vec![value.to_str().unwrap().into()]);
            }
            HeaderEdit::Append(name, value) => self.add(name.as_str(), value.to_str().unwrap()),
            HeaderEdit::Remove(name) => drop(self.headers.remove(name.as_str())),
        }
    }

    /// Whether it is an edit of the message.
    pub(super) fn edit_request(&mut self, edit: &RequestEdit) -> bool {
        match edit {
            RequestEdit::Header(edit) => self.edit(edit),
            RequestEdit::Path(path) => self.path = path.to_string(),
            RequestEdit::Query(query) => self.query = query.as_deref().map(Into::into),
            RequestEdit::Body(body) => self.body = Some(body.to_vec()),
            _ => return false,
        }
        true
    }

    pub(super) fn edit_response(&mut self, edit: &ResponseEdit) {
        match edit {
            ResponseEdit::Header(edit) => self.edit(edit),
            ResponseEdit::Status(status) => self.status = status.as_u16(),
            ResponseEdit::Body(body) => self.body = Some(body.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    /// Parameters sorted by name, those of one name in order: objects of JSON have no order here.
    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        let parts = self.query.as_deref().unwrap_or_default().split('&').filter(|part| !part.is_empty());
        let pair =
            |part: &str| part.split_once('=').map_or((part.into(), String::new()), |(a, b)| (a.into(), b.into()));
        let mut all: Vec<(String, String)> = parts.map(pair).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// The parts of the lines of a field with pairs, taken out and sorted by name.
    pub(super) fn take_pairs(&mut self, name: &str) -> Vec<String> {
        let lines = self.headers.remove(name).unwrap_or_default();
        let apart = |line: &str| line.split(';').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        let mut parts: Vec<String> =
            if name == "cookie" { lines.iter().flat_map(|line| apart(line)).collect() } else { lines };
        parts.retain(|part| !part.is_empty());
        parts.sort_by(|a, b| a.split('=').next().cmp(&b.split('=').next()));
        parts
    }
}
