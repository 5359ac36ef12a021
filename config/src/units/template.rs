//! Templates of gateway responses: text with variables, in API Gateway's spelling ("Gateway responses": `$context.…` and
//! `$method.request.…`), plain substitution and nothing more.

use thiserror::Error;

use crate::suggest;

/// A text with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Text(String),
    /// What is known of the request.
    Variable(Variable),
}

macro_rules! variables {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What a template can say of a request.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Variable {
            $($(#[$doc])* $name,)*
            /// `$context.authorizer.NAME`: a value of the authorizer's context.
            Authorizer(String),
            /// `$method.request.header.NAME`, lower case.
            Header(String),
            /// `$method.request.querystring.NAME`: as it came, percent-encoded.
            Query(String),
        }

        /// All that have no name of their own in them.
        const KNOWN: &[(&str, Variable)] = &[$(($text, Variable::$name),)*];
    };
}

variables! {
    /// The message of the answer, without quotes.
    ErrorMessage = "$context.error.message";
    /// The message as a JSON string.
    ErrorMessageString = "$context.error.messageString";
    /// The type of the gateway response.
    ResponseType = "$context.error.responseType";
    /// The request id.
    RequestId = "$context.requestId";
    /// The same.
    ExtendedRequestId = "$context.extendedRequestId";
    /// The method.
    HttpMethod = "$context.httpMethod";
    /// The path.
    Path = "$context.path";
    /// The behavior's path pattern.
    ResourcePath = "$context.resourcePath";
    /// `HTTP/1.1`, for example.
    Protocol = "$context.protocol";
    /// The host.
    DomainName = "$context.domainName";
    /// The name of the distribution.
    ApiId = "$context.apiId";
    /// The status of the answer.
    Status = "$context.status";
    /// When the request came: `dd/MMM/yyyy:HH:mm:ss +0000`.
    RequestTime = "$context.requestTime";
    /// When it came, in milliseconds since 1970.
    RequestTimeEpoch = "$context.requestTimeEpoch";
    /// The viewer's address.
    SourceIp = "$context.identity.sourceIp";
    /// The viewer's `User-Agent`.
    UserAgent = "$context.identity.userAgent";
    /// The name of the API key; never the key.
    ApiKeyId = "$context.identity.apiKeyId";
    /// Who the caller is, as the authorizer says.
    PrincipalId = "$context.authorizer.principalId";
}

const AUTHORIZER: &str = "$context.authorizer.";
const HEADER: &str = "$method.request.header.";
const QUERY: &str = "$method.request.querystring.";
/// What begins a variable; any other `$` is itself.
const STARTS: [&str; 3] = ["$context.", "$method.", "$stageVariables."];

/// A variable that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown variable `{0}`")]
pub struct UnknownVariable(pub String);

impl UnknownVariable {
    /// The variable that was probably meant.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        suggest::nearest(&self.0, KNOWN.iter().map(|(name, _)| *name)).map(|near| format!("did you mean `{near}`?"))
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// If a variable is unknown.
    pub fn parse(text: &str) -> Result<Self, UnknownVariable> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, tail) = rest.split_at(at);
            plain.push_str(before);
            if !STARTS.iter().any(|start| tail.starts_with(start)) {
                plain.push('$');
                rest = tail.get(1..).unwrap_or_default();
                continue;
            }
            let (variable, length) = variable(tail)?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Variable(variable));
            rest = tail.get(length..).unwrap_or_default();
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }
}

/// The variable at the start of a text, and how long it is.
fn variable(text: &str) -> Result<(Variable, usize), UnknownVariable> {
    let ends = |length: usize| {
        let next = text.as_bytes().get(length);
        !next.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    if let Some((name, variable)) = KNOWN.iter().find(|(name, _)| text.starts_with(name) && ends(name.len())) {
        return Ok((variable.clone(), name.len()));
    }
    let named = |start: &str| {
        let name = text.strip_prefix(start)?;
        let length = name.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)).count();
        name.get(..length).filter(|name| !name.is_empty()).map(|name| (name.to_owned(), start.len() + length))
    };
    if let Some((name, length)) = named(AUTHORIZER) {
        return Ok((Variable::Authorizer(name), length));
    }
    if let Some((name, length)) = named(HEADER) {
        return Ok((Variable::Header(name.to_ascii_lowercase()), length));
    }
    if let Some((name, length)) = named(QUERY) {
        return Ok((Variable::Query(name), length));
    }
    let word: String = text
        .char_indices()
        .take_while(|(at, char)| *at == 0 || char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-'))
        .map(|(_, char)| char)
        .collect();
    Err(UnknownVariable(word.trim_end_matches('.').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_variables() {
        let parts = |text| Template::parse(text).expect(text).parts;
        assert_eq!(parts("plain $5 $"), [Part::Text("plain $5 $".into())]);
        assert_eq!(
            parts(r#"{"m":$context.error.messageString,"id":"$context.requestId"}"#),
            [
                Part::Text(r#"{"m":"#.into()),
                Part::Variable(Variable::ErrorMessageString),
                Part::Text(r#","id":""#.into()),
                Part::Variable(Variable::RequestId),
                Part::Text(r#""}"#.into()),
            ]
        );
        assert_eq!(parts("$context.error.message.")[0], Part::Variable(Variable::ErrorMessage));
        assert_eq!(parts("$method.request.header.X-Id")[0], Part::Variable(Variable::Header("x-id".into())));
        assert_eq!(parts("$method.request.querystring.q")[0], Part::Variable(Variable::Query("q".into())));
        assert_eq!(parts("$context.authorizer.tenant")[0], Part::Variable(Variable::Authorizer("tenant".into())));
        assert_eq!(parts("$context.authorizer.principalId")[0], Part::Variable(Variable::PrincipalId));
    }

    #[test]
    fn unknown_variables_are_named() {
        let error = Template::parse("x $context.eror.message y").expect_err("unknown");
        assert_eq!(error.to_string(), "unknown variable `$context.eror.message`");
        assert_eq!(error.help().as_deref(), Some("did you mean `$context.error.message`?"));
        assert!(Template::parse("$stageVariables.x").is_err());
        assert!(Template::parse("$method.request.body.x").is_err());
        assert!(Template::parse("$context.requestIdX").is_err());
    }
}
